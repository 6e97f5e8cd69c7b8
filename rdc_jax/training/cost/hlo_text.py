"""The optimised HLO text of a program compiled for TPU, as computations of instructions."""

import dataclasses
import re
from math import ceil

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4,
         "f32": 4, "s64": 8, "u64": 8, "f64": 8}  # fmt: skip

_SHAPE = re.compile(r"([a-z]+\d*)\[([\d,]*)\](?:\{([\d,]*)((?::|[A-Z]\(|\().*?)?\})?")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"(?:^|\s)([a-z][a-z\-]*)\(")


@dataclasses.dataclass(frozen=True)
class Instruction:
    name: str
    opcode: str
    shapes: list[tuple[str, tuple[int, ...], str, str]]  # dtype, sizes, minor to major, tiling
    operands: list[str]
    text: str


def parse(hlo: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """Computations by name, each its instructions by name; and the name of the entry."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in hlo.splitlines():
        if line.startswith(("%", "ENTRY")):
            name = re.match(r"(?:ENTRY )?%([\w.\-]+)", line)[1]
            current = computations.setdefault(name, {})
            entry = name if line.startswith("ENTRY") else entry
        elif current is not None and (match := _INSTRUCTION.match(line)):
            name, rest = match.groups()
            opcode = _OPCODE.search(rest)
            if opcode is None:
                continue
            arguments = rest[opcode.end() :].split("), ", 1)[0]
            current[name] = Instruction(
                name=name,
                opcode=opcode[1],
                shapes=shapes_of(rest[: opcode.start()]),
                operands=re.findall(r"%([\w.\-]+)", arguments),
                text=rest,
            )
    return computations, entry


def executed(computations: dict, entry: str) -> list[tuple[str, int]]:
    """The entry and the bodies of its loops, with how often each runs."""
    runs, pending = [], [(entry, 1)]
    while pending:
        name, times = pending.pop()
        runs.append((name, times))
        for instruction in computations[name].values():
            if instruction.opcode == "while":
                body = re.search(r"body=%([\w.\-]+)", instruction.text)[1]
                pending.append((body, times * trip_count(computations, instruction)))
    return runs


def trip_count(computations: dict, loop: Instruction) -> int:
    """How often a loop runs: said by the compiler, or from a counter compared with a constant."""
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.text)
    if known:
        return int(known[1])
    names = (re.search(rf"{part}=%([\w.\-]+)", loop.text)[1] for part in ("condition", "body"))
    condition, body = (computations[name] for name in names)
    limits = [i.text for i in condition.values() if i.opcode == "constant"]
    counters = [i.text for i in condition.values() if i.opcode == "get-tuple-element"]
    if len(limits) != 1 or len(counters) != 1:
        return 1
    position = int(re.search(r"index=(\d+)", counters[0])[1])
    update = body.get(list(body.values())[-1].operands[position])
    steps = [body[o].text for o in update.operands if o in body] if update else []
    step = [re.search(r"constant\((\d+)\)", text) for text in steps if " constant(" in text]
    limit = re.search(r"constant\((\d+)\)", limits[0])
    return ceil(int(limit[1]) / int(step[0][1])) if limit and step and step[0] else 1


def shapes_of(text: str) -> list[tuple[str, tuple[int, ...], str, str]]:
    """The arrays in a result type, tuples flattened."""
    return [
        (dtype, tuple(int(n) for n in sizes.split(",") if n), order or "", tiling or "")
        for dtype, sizes, order, tiling in _SHAPE.findall(text)
        if dtype in BYTES
    ]
