"""In charge of the departments that a spreadsheet names, and of whose catalogue it is (Art. 8, 10)."""

from collections.abc import Mapping

from tanglai.catalogue.guide import cells
from tanglai.catalogue.guide.columns import folded
from tanglai.catalogue.guide.remarks import At, quoted
from tanglai.catalogue.guide.workbook import Cell
from tanglai.catalogue.identity import is_credit_code
from tanglai.catalogue.model import Branch, Department, OrganisationKind, Snapshot


class Departments:
    """The registered departments, to be found by name, key or credit code."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._named: dict[str, list[Department]] = {}
        for department in snapshot.departments.values():
            for name in {folded(department.name), folded(department.key), folded(department.code)}:
                self._named.setdefault(name, []).append(department)

    def parties(
        self, values: Mapping[str, Cell], branch: Branch | None, importing: Department, at: At
    ) -> tuple[str | None, str | None]:
        """Credit codes of provider and compiler; no provider where it is not known or the entry is not `importing`'s.

        A department compiles the catalogue of its own data (Art. 8), the lead department that of a base library or a
        theme (Art. 10(2), (3)). A file that names no provider is of the importing department's data.
        """
        provider = self._provider(values, importing, at)
        compiler = importing
        if said := cells.text(values.get("compiler"), "compiler", at):
            found = self._found(said, "compiler", at)
            if found is None:
                return None, None
            compiler = found
        if provider is None or branch is None:
            return None, None
        for_provider = provider.kind is OrganisationKind.PUBLIC_SERVICE_ENTERPRISE or branch is not Branch.DEPARTMENTAL
        if compiler.code != importing.code:
            message = f"compiled by {quoted(compiler.name)}: a department imports the entries that it compiles itself"
            at.error(
                "compiler", "own-catalogue", message, f"编制方为 {quoted(compiler.name)}：部门只能导入本部门编制的目录"
            )
            return None, None
        if provider.code != importing.code and not for_provider:
            message = f"provided by {quoted(provider.name)}: a department compiles the catalogue of its own data"
            at.error(
                "provider", "own-catalogue", message, f"提供方为 {quoted(provider.name)}：部门只能编制本部门的目录"
            )
            return None, None
        return provider.code, compiler.code if for_provider else None

    def _provider(self, values: Mapping[str, Cell], importing: Department, at: At) -> Department | None:
        name = cells.text(values.get("provider"), "provider", at)
        code = cells.code(values.get("provider_code"), "provider_code", at).upper()
        if code:
            return self._by_code(code, name, at)
        if name:
            return self._found(name, "provider", at)
        if "provider_code" in values or "provider" in values:
            return None  # what stands there cannot be used, and was told
        at.notice(
            "provider",
            "document",
            f"no provider: taken for {quoted(importing.name)}",
            f"未填写提供方，按 {quoted(importing.name)} 处理",
        )
        return importing

    def _by_code(self, code: str, name: str, at: At) -> Department | None:
        department = self._snapshot.departments.get(code)
        if department is None and not is_credit_code(code):
            message = f"{quoted(code)} is no unified social credit code"
            at.error("provider_code", "credit-code", message, f"{quoted(code)} 不是统一社会信用代码")
            return None
        if department is None:
            at.error("provider_code", "reference", f"unknown department {quoted(code)}", f"部门 {quoted(code)} 未登记")
            return None
        if name and folded(name) not in (folded(department.name), folded(department.key)):
            message = f"{quoted(name)}, but the code is of {quoted(department.name)}"
            at.error("provider", "reference", message, f"{quoted(name)} 与代码所属部门 {quoted(department.name)} 不符")
            return None
        return department

    def _found(self, said: str, key: str, at: At) -> Department | None:
        found = self._named.get(folded(said), [])
        if len(found) == 1:
            return found[0]
        if found:
            message = f"{len(found)} departments are called {quoted(said)}: give the credit code"
            at.error(key, "reference", message, f"有 {len(found)} 个部门名为 {quoted(said)}，请填写代码")
        else:
            at.error(key, "reference", f"unknown department {quoted(said)}", f"部门 {quoted(said)} 未登记")
        return None
