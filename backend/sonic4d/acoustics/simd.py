"""Eight multiply-adds at a time inside Numba's compiled loops, which Numba itself leaves scalar."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WIDTH = 8


@intrinsic
def add_weighted(
    typing_context: Any, target: Any, at: Any, table: Any, row: Any, a: Any, b: Any
) -> Any:
    """target[at + q] += a * table[row, q] + b * table[row, 8 + q] for q in 0..7; float32, contiguous, not checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), WIDTH)
        undefined = ir.Constant(vector, ir.Undefined)
        first_lane = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)

        def address(array: int, index: Any) -> Any:
            struct = context.make_array(signature.args[array])(context, builder, arguments[array])
            return builder.bitcast(builder.gep(struct.data, [index]), vector.as_pointer())

        def weighted(factor: Any, column: int) -> Any:
            lane = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
            factors = builder.shuffle_vector(lane, undefined, first_lane)
            start = builder.mul(arguments[3], ir.Constant(ir.IntType(64), 2 * WIDTH))
            start = builder.add(start, ir.Constant(ir.IntType(64), column))
            values = builder.load(address(2, start), align=4)
            return builder.fmul(factors, values, flags=("contract",))

        place = address(0, arguments[1])
        total = builder.load(place, align=4)
        for factor, column in ((arguments[4], 0), (arguments[5], WIDTH)):
            total = builder.fadd(total, weighted(factor, column), flags=("contract",))
        builder.store(total, place, align=4)
        return context.get_dummy_value()

    index, real = types.int64, types.float32
    return types.void(target, index, table, index, real, real), generate
