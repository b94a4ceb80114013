"""Licences that several models share."""

from __future__ import annotations

from ..model import Licence

APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", commercial=True)
MIT = Licence("MIT", "https://opensource.org/license/mit", commercial=True)
BSD_3 = Licence("BSD-3-Clause", "https://opensource.org/license/bsd-3-clause", commercial=True)
CC_BY_NC = Licence(
    "CC-BY-NC-4.0", "https://creativecommons.org/licenses/by-nc/4.0/legalcode", commercial=False
)
APPLE_RESEARCH = Licence(
    "apple-amlr", "https://huggingface.co/apple/DepthPro-hf/blob/main/LICENSE", commercial=False
)
