"""`tanglai catalogue template`, `import-guide`, `export-guide` on a real database: what they write and refuse."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner, Result

from tanglai.cli import app
from tanglai.storage.embedded import EmbeddedPostgres
from tests.spreadsheets import resource_rows, workbook

DEMO = "demo/catalogue"
CIVIL = "宁夏回族自治区民政厅"


@pytest.fixture(scope="module", autouse=True)
def environment(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A platform database of this file's own, with the demo region's catalogue."""
    name = f"commands_{uuid4().hex}"
    postgres.create_database(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TANGLAI_DATABASE_URL", postgres.url(name))
        patch.setenv("COLUMNS", "400")
        tanglai("catalogue", "import", DEMO, "--offline")
        yield
    postgres.drop_database(name)


def tanglai(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result


def put(folder: Path, *rows: list[object]) -> str:
    file = folder / "file.xlsx"
    file.write_bytes(workbook(*rows))
    return str(file)


def test_the_template_has_the_catalogues_own_lists(tmp_path: Path) -> None:
    file = tmp_path / "template.xlsx"
    tanglai("catalogue", "template", str(file))
    lists = load_workbook(BytesIO(file.read_bytes()))["选项"]
    assert CIVIL in {cell.value for row in lists.iter_rows() for cell in row}


def test_what_a_department_has_published_comes_out_and_goes_in_again(tmp_path: Path) -> None:
    file = tmp_path / "own.xlsx"
    assert tanglai("catalogue", "export-guide", str(file), "--department", "civil-affairs").stdout.startswith(
        "3 resour"
    )
    told = tanglai("catalogue", "import-guide", str(file), "--department", "civil-affairs").stdout
    assert told.endswith(": 3 resources: 3 unchanged\n")
    other = tanglai("catalogue", "import-guide", str(file), "--department", "taxation", code=1)
    assert "3 refused" in other.stdout
    assert "Art. 8" in other.stderr


def test_rows_with_errors_are_told_and_the_others_go_in(tmp_path: Path) -> None:
    good = resource_rows("302010/2", "婚姻登记档案", "档案号", provider=CIVIL)
    bad = resource_rows("302010/3", "婚姻登记统计", "年度", provider=CIVIL, 更新周期="随时")
    file = put(tmp_path, *good, *bad)
    told = tanglai("catalogue", "import-guide", file, "--department", "civil-affairs", "--json", code=1)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(it["row"], it["column"], it["severity"]) for it in lines[:-1]] == [
        (2, "", "NOTICE"),
        (3, "更新周期", "ERROR"),
    ]
    counts = {key: lines[-1][key] for key in ("state", "total", "created", "refused")}
    assert counts == {"state": "DONE", "total": 2, "created": 1, "refused": 1}


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    file = tmp_path / "file.xlsx"
    file.write_bytes(b"no workbook")
    failed = tanglai("catalogue", "import-guide", str(file), "--department", "civil-affairs", code=1)
    assert failed.stderr == "error: not an XLSX file\n"
    unknown = tanglai("catalogue", "import-guide", str(file), "--department", "nobody", code=1)
    assert unknown.stderr == "error: no department `nobody`\n"
    file.write_bytes(b"")
    assert (
        "the file is empty"
        in tanglai("catalogue", "import-guide", str(file), "--department", "taxation", code=1).stderr
    )
