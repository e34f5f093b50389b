"""The small changes of a source file by which tests are tried."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BINARY = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*", ast.FloorDiv: "/", ast.Mod: "*",
}  # fmt: skip
COMPARISON = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
NAMES = {
    "mean": "sum", "sum": "mean", "min": "max", "max": "min", "amin": "amax", "amax": "amin", "argmin": "argmax",
    "argmax": "argmin", "any": "all", "all": "any", "idxmax": "idxmin", "idxmin": "idxmax", "exp": "expm1",
    "log": "log1p", "cos": "sin", "sin": "cos", "sqrt": "square", "square": "abs", "std": "var", "zeros": "ones",
    "ones": "zeros",
    "zeros_like": "ones_like", "ones_like": "zeros_like", "randn": "rand", "rand": "randn", "floor": "ceil",
    "repeat": "repeat_interleave", "repeat_interleave": "repeat",
}  # fmt: skip


class Mutant(NamedTuple):
    """A change of a file: characters `start` to `end` become `new`; `lines` are those of its statement."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str
    lines: tuple[int, int] | None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {' '.join(self.old.split())} → {self.new}"


def mutants(root: Path, path: str) -> list[Mutant]:
    """Every mutant of a file."""
    source = (root / path).read_text(encoding="utf-8")
    starts = [0]
    for text in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    data, found = source.encode(), []

    def span(node: ast.AST) -> tuple[int, int]:
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    for node, lines in visit(ast.parse(source), None):
        for start, end, new in changes(node, span, data):
            line = data[:start].count(b"\n") + 1
            found.append(Mutant(path, line, start, end, data[start:end].decode(), new, lines))
    return found


def visit(node: ast.AST, lines: tuple[int, int] | None) -> Iterator[tuple[ast.AST, tuple[int, int] | None]]:
    """The nodes that may change, with the lines of their statement (None outside functions)."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.arg | ast.Assert):
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    if isinstance(node, ast.FunctionDef):
        lines, children = (node.body[0].lineno, node.end_lineno), node.body
    elif isinstance(node, ast.ClassDef):
        children = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    elif isinstance(node, ast.AnnAssign):
        children = [node.value] if node.value else []
    else:
        children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.stmt) and lines and not isinstance(node, ast.FunctionDef):
        body = getattr(node, "body", None)
        lines = node.lineno, max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
    yield node, lines
    for child in children:
        yield from visit(child, lines)


def changes(node: ast.AST, span, data: bytes) -> Iterator[tuple[int, int, str]]:
    """The changes of one node: what of the file becomes what."""

    def text(of: ast.AST) -> str:
        start, end = span(of)
        return data[start:end].decode()

    def between(left: ast.AST, right: ast.AST, new: str) -> tuple[int, int, str]:
        # Brackets around the operands stay: the operator is what is neither blank nor bracket.
        start, end = span(left)[1], span(right)[0]
        held = data[start:end].decode()
        start += len(held[: len(held) - len(held.lstrip(") \n"))].encode())
        return start, start + len(held.strip("() \n").encode()), new

    match node:
        case ast.Constant(value=bool()):
            yield *span(node), str(not node.value)
        case ast.Constant(value=int() | float()):
            yield *span(node), repr(node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0)
        case ast.BinOp() if type(node.op) in BINARY:
            yield between(node.left, node.right, BINARY[type(node.op)])
        case ast.Compare(ops=[op]) if type(op) in COMPARISON:
            yield between(node.left, node.comparators[0], COMPARISON[type(op)])
        case ast.BoolOp(values=[left, right, *_]):
            yield between(left, right, "or" if isinstance(node.op, ast.And) else "and")
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield *span(node), text(node.operand)
        case ast.IfExp():
            yield *span(node.test), "True"
            yield *span(node.test), "False"
        case ast.If() | ast.While() | ast.comprehension():
            for test in [node.test] if hasattr(node, "test") else node.ifs:
                yield *span(test), "True"
                yield *span(test), "False"
        case ast.Attribute(attr=name) if name in NAMES:
            end = span(node)[1]
            yield end - len(name), end, NAMES[name]
        case ast.Call(keywords=[*_, _] as keywords):
            for keyword in keywords:
                if keyword.arg not in (None, "strict", "device"):
                    start, end = span(keyword)
                    yield start, end + len(data[end:]) - len(data[end:].lstrip(b", \n")), ""
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue():
            yield *span(node), "pass"
