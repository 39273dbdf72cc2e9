"""Check the structure of the source: sizes, import cycles and uses of private members.

Prints one line per fault and exits with 1 if there is one:

- a file of more than 400 lines in python/, cpp/ or tests/;
- a class with more than 20 methods;
- modules that import each other in a cycle, imports for types and inside functions included;
- headers that include each other in a cycle, or a header of the core that includes a binding;
- a module that uses a private name or a private member of another module;
- a first level of the package with more than 22 entries.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "fusedlstm"
CORE = ROOT / "cpp"
MAX_LINES, MAX_METHODS, MAX_ENTRIES = 400, 20, 22
SUFFIXES = {".py", ".pyi", ".cpp", ".hpp"}
OF_NAMEDTUPLES = {"_asdict", "_fields", "_make", "_replace"}

Graph = dict[str, set[str]]


def long_files() -> Iterator[str]:
    """Yield the files with too many lines."""
    for folder in ("python", "cpp", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                path.suffix in SUFFIXES
                and (count := len(path.read_text().splitlines())) > MAX_LINES
            ):
                yield f"{path.relative_to(ROOT)}: {count} lines; at most {MAX_LINES}"


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py*"))
    if path.suffix in (".py", ".pyi")
}


def imports_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the modules of the package that a module imports, each with the name it takes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield (module, "") if module in MODULES else (node.module, alias.name)


def import_graph() -> Graph:
    """Return the imports between the modules."""
    return {
        name: {target for target, _ in imports_of(tree) if target in MODULES and target != name}
        for name, tree in MODULES.items()
    }


def include_graph() -> Graph:
    """Return the includes between the files of the core."""
    graph: Graph = {}
    for path in sorted(CORE.rglob("*.[ch]pp")):
        included = re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE)
        places = [
            next((p for p in (path.parent / i, CORE / i) if p.exists()), None) for i in included
        ]
        graph[str(path.relative_to(CORE))] = {
            str(place.resolve().relative_to(CORE)) for place in places if place is not None
        }
    return graph


def cycles(graph: Graph) -> Iterator[list[str]]:
    """Yield the strongly connected components of more than one node (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    yield from found


def cyclic_imports() -> Iterator[str]:
    """Yield the cycles of modules and of headers."""
    for kind, graph in {"import": import_graph(), "include": include_graph()}.items():
        for component in cycles(graph):
            yield f"{kind} cycle: {', '.join(component)}"


def includes_of_bindings() -> Iterator[str]:
    """Yield the headers of the core that include a binding."""
    for name, included in include_graph().items():
        if not name.startswith("bindings"):
            for target in sorted(included):
                if target.startswith("bindings"):
                    yield f"cpp/{name}: includes cpp/{target}"


def is_private(name: str) -> bool:
    """Return whether a name starts with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMEDTUPLES


def defined_in(tree: ast.Module) -> set[str]:
    """Return the private names that a module defines, as members of its classes or otherwise."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in ("self", "cls")
        ):
            names.add(node.attr)
    return names


def private_uses() -> Iterator[str]:
    """Yield the uses of private names and members that another module defines."""
    for name, tree in MODULES.items():
        for module, taken in imports_of(tree):
            if module in MODULES and module != name and is_private(taken):
                yield f"{name}: imports {taken} from {module}"
        own = defined_in(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not is_private(node.attr):
                continue
            holder = node.value
            if isinstance(holder, ast.Name) and holder.id in ("self", "cls"):
                continue
            if isinstance(holder, ast.Call) and ast.unparse(holder.func) == "super":
                continue
            if node.attr not in own:
                yield f"{name}:{node.lineno}: uses {ast.unparse(node)}"


def large_classes() -> Iterator[str]:
    """Yield the classes with too many methods."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                count = sum(isinstance(part, ast.FunctionDef) for part in node.body)
                if count > MAX_METHODS:
                    yield f"{name}.{node.name}: {count} methods; at most {MAX_METHODS}"


def crowded_package() -> Iterator[str]:
    """Yield a line if the first level of the package has too many entries."""
    entries = [
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix in ("", ".py", ".pyi", ".typed") and path.name != "__pycache__"
    ]
    if len(entries) > MAX_ENTRIES:
        yield f"python/fusedlstm: {len(entries)} entries; at most {MAX_ENTRIES}"


CHECKS = (
    long_files,
    large_classes,
    cyclic_imports,
    includes_of_bindings,
    private_uses,
    crowded_package,
)


def main() -> int:
    """Print the faults and return 1 if there is one."""
    faults = [fault for check in CHECKS for fault in check()]
    print(*faults, f"{len(faults)} faults in the structure", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
