"""Many multiply-adds at a time inside Numba's compiled loops, which Numba itself leaves scalar or fills with checks.

All arrays are contiguous float32; indices count in their flat memory and are not checked. Every lane adds in the same
order, so results don't depend on the processor's vector width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDTH = 8  # of `add_weighted`
LANES = 16 if get_host_cpu_features().get("avx512f") else 8  # of the others

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)


class _Builder:
    """Writes the instructions of one intrinsic on vectors of `lanes`: `arguments` as LLVM values, arrays by the pointer to
    their data."""

    def __init__(
        self, lanes: int, context: Any, builder: Any, signature: Any, arguments: Any
    ) -> None:
        self.builder = builder
        self.vector = ir.VectorType(_FLOAT, lanes)
        self._undefined = ir.Constant(self.vector, ir.Undefined)
        self._first_lane = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
        self.arguments = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def index(self, start: Any, *steps: tuple[Any, Any]) -> Any:
        """start + step * count + ...; steps and counts are values or whole numbers."""
        for step, count in steps:
            factors = [ir.Constant(_INDEX, f) if isinstance(f, int) else f for f in (step, count)]
            start = self.builder.add(start, self.builder.mul(*factors))
        return start

    def _place(self, array: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(array, [index]), self.vector.as_pointer())

    def load(self, array: Any, index: Any) -> Any:
        return self.builder.load(self._place(array, index), align=4)

    def store(self, vector: Any, array: Any, index: Any) -> None:
        self.builder.store(vector, self._place(array, index), align=4)

    def constant(self, *numbers: float) -> Any:
        """A vector of these numbers, or of one."""
        return ir.Constant(self.vector, list(numbers) * (self.vector.count // len(numbers)))

    def fill(self, number: Any) -> Any:
        """A vector of the same number."""
        lane = self.builder.insert_element(self._undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(lane, self._undefined, self._first_lane)

    def load_filled(self, array: Any, index: Any) -> Any:
        return self.fill(self.builder.load(self.builder.gep(array, [index])))

    def multiply_add(self, total: Any, a: Any, b: Any) -> Any:
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))

    def totals(self, count: int) -> list[Any]:
        """Variables, zero now; LLVM keeps them in registers."""
        variables = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for variable in variables:
            self.builder.store(self.constant(0), variable)
        return variables

    def accumulate(self, total: Any, a: Any, b: Any) -> None:
        self.builder.store(self.multiply_add(self.builder.load(total), a, b), total)


@intrinsic
def add_weighted(
    typing_context: Any, target: Any, at: Any, table: Any, row: Any, a: Any, b: Any
) -> Any:
    """target[at + q] += a * table[row, q] + b * table[row, 8 + q] for q in 0..7."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        code = _Builder(WIDTH, context, builder, signature, arguments)
        target, at, table, row, a, b = code.arguments
        start = builder.mul(row, ir.Constant(_INDEX, 2 * WIDTH))
        total = code.load(target, at)
        for factor, column in ((a, 0), (b, WIDTH)):
            values = code.load(table, code.index(start, (column, 1)))
            total = code.multiply_add(total, code.fill(factor), values)
        code.store(total, target, at)
        return context.get_dummy_value()

    index, real = types.int64, types.float32
    return types.void(target, index, table, index, real, real), generate


def make_add_products(rows: int, vectors: int) -> Callable[..., None]:
    """A part of a matrix product that stays in registers, `rows` by `vectors` * LANES.

    add_products(target, at, row_step, factors, first, factor_row_step, factor_step, samples, start, sample_step, terms):
    target[at + row_step r + q] += the sum over k < terms of
    factors[first + factor_row_step r + factor_step k] * samples[start + sample_step k + q].
    """

    @intrinsic
    def add_products(
        typing_context: Any,
        target: Any,
        at: Any,
        row_step: Any,
        factors: Any,
        first: Any,
        factor_row_step: Any,
        factor_step: Any,
        samples: Any,
        start: Any,
        sample_step: Any,
        terms: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            code = _Builder(LANES, context, builder, signature, arguments)
            target, at, row_step, factors, first, factor_row_step, factor_step = code.arguments[:7]
            samples, start, sample_step, terms = code.arguments[7:]
            totals = code.totals(rows * vectors)
            with cgutils.for_range(builder, terms) as loop:
                place = code.index(start, (sample_step, loop.index))
                heard = [code.load(samples, code.index(place, (LANES, v))) for v in range(vectors)]
                for r in range(rows):
                    where = code.index(first, (factor_step, loop.index), (factor_row_step, r))
                    factor = code.load_filled(factors, where)
                    for v in range(vectors):
                        code.accumulate(totals[r * vectors + v], factor, heard[v])
            for r in range(rows):
                for v in range(vectors):
                    place = code.index(at, (row_step, r), (LANES, v))
                    total = builder.load(totals[r * vectors + v])
                    code.store(builder.fadd(code.load(target, place), total), target, place)
            return context.get_dummy_value()

        i = types.int64
        arguments = (target, i, i, factors, i, i, i, samples, i, i, i)
        return types.void(*arguments), generate

    return add_products


def make_mix(phases: int) -> Callable[..., None]:
    """A mixture that changes in time of sound stored in so many phases.

    mix(mixed, row_step, levels, sound, start, phase_step, bus_step, buses, count): for j < count (a multiple of LANES)
    mixed[row_step phase + j] = the sum over b < buses of
    sound[start + bus_step b + phase_step phase + j] * (levels[2 b] + levels[2 b + 1] * (phases j + phase)).
    """
    lanes = [float(phases * lane) for lane in range(LANES)]

    @intrinsic
    def mix(
        typing_context: Any,
        mixed: Any,
        row_step: Any,
        levels: Any,
        sound: Any,
        start: Any,
        phase_step: Any,
        bus_step: Any,
        buses: Any,
        count: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            code = _Builder(LANES, context, builder, signature, arguments)
            mixed, row_step, levels, sound, start = code.arguments[:5]
            phase_step, bus_step, buses, count = code.arguments[5:]
            totals = code.totals(phases)
            step = ir.Constant(_INDEX, LANES)
            with cgutils.for_range_slice(builder, ir.Constant(_INDEX, 0), count, step) as (j, _):
                passed = builder.sitofp(code.index(ir.Constant(_INDEX, 0), (phases, j)), _FLOAT)
                even = builder.fadd(code.fill(passed), code.constant(*lanes))
                times = [builder.fadd(even, code.constant(phase)) for phase in range(phases)]
                for total in totals:
                    builder.store(code.constant(0), total)
                with cgutils.for_range(builder, buses) as loop:
                    level = code.load_filled(
                        levels, builder.mul(loop.index, ir.Constant(_INDEX, 2))
                    )
                    slope = code.load_filled(
                        levels, code.index(ir.Constant(_INDEX, 1), (2, loop.index))
                    )
                    place = code.index(start, (bus_step, loop.index), (1, j))
                    for phase in range(phases):
                        heard = code.load(sound, code.index(place, (phase_step, phase)))
                        gain = code.multiply_add(level, slope, times[phase])
                        code.accumulate(totals[phase], gain, heard)
                for phase in range(phases):
                    place = code.index(j, (row_step, phase))
                    code.store(builder.load(totals[phase]), mixed, place)
            return context.get_dummy_value()

        i = types.int64
        return types.void(mixed, i, levels, sound, i, i, i, i, i), generate

    return mix
