"""In charge of the tour's last lines: the catalogue guide's spreadsheet becomes a resource that can be asked for."""

import base64
from io import BytesIO
from typing import Any

from openpyxl import Workbook

from demo.data.world import World
from demo.tour.expectations import Delivered, tree
from demo.tour.procedures import TEXT, act, matter
from demo.tour.running import Kept, Line

_HEADERS = (
    "信息资源分类",
    "名称",
    "代码",
    "提供方",
    "提供方代码",
    "摘要",
    "格式",
    "信息项名称",
    "数据类型",
    "共享类型",
    "共享条件",
    "共享方式",
    "开放属性",
    "更新周期",
    "GraphQL分组",
    "GraphQL列表",
    "GraphQL单条",
    "GraphQL类型",
    "数据源",
    "表",
    "行标识",
    "行标识类型",
    "主键",
    "信息项英文名",
    "字段",
    "信息项共享类型",
)
_ITEMS = (
    ("统一社会信用代码", "字符型", "creditCode", "credit_code", "无条件共享"),
    ("名称", "字符型", "name", "name", "无条件共享"),
    ("区划", "字符型", "division", "division", "无条件共享"),
    ("登记日期", "日期型", "registeredOn", "registered_on", "无条件共享"),
    ("联系电话", "字符型", "phone", "phone", "有条件共享"),
)


def spreadsheet() -> bytes:
    """The guide's spreadsheet of one resource as a department fills it in: a title above, the resource's cells once."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "民政厅"
    sheet.append(["自治区民政厅政务信息资源目录（演示）"])
    sheet.append(_HEADERS)
    for number, (title, kind, name, column, share) in enumerate(_ITEMS):
        first = number == 0
        resource = (
            "302040",
            "社会组织登记信息",
            "302040/1",
            "宁夏回族自治区民政厅",
            "11640000DMR000063X",
            "登记的社会组织。演示用合成数据。",
            "数据库表",
        )
        bound = ("civilAffairs", "socialOrganisations", "socialOrganisation", "SocialOrganisation", "civil-affairs")
        sheet.append(
            [
                *(resource if first else [None] * len(resource)),
                title,
                kind,
                "有条件共享" if first else None,
                "因履行职责需要联系社会组织" if first else None,
                "接口" if first else None,
                "可向社会开放" if first else None,
                "每月" if first else None,
                *(bound if first else [None] * len(bound)),
                "civil.social_organisation" if first else None,
                "row_handle" if first else None,
                "长整型" if first else None,
                "是" if first else None,
                name,
                column,
                share,
            ]
        )
    content = BytesIO()
    book.save(content)
    return content.getvalue()


CATALOGUER: dict[str, Any] = {"department": "civil-affairs", "person": "cataloguer", "roles": ("cataloguer",)}


def publication_lines(world: World) -> list[Line]:
    first = min(world.social_organisations, key=lambda one: one.credit_code)
    return [
        Line(
            "a department brings its catalogue as the guide's spreadsheet, Art. 8",
            query=act(
                "CatalogueImport",
                "importCatalogue(fileName: $name, content: $content)",
                "id",
                "$name: String!, $content: String!",
            ),
            variables={"name": "目录.xlsx", "content": base64.b64encode(spreadsheet()).decode()},
            expected=matter("CatalogueImport", id=TEXT),
            keep={"import": "data.done.id"},
            **CATALOGUER,
        ),
        Line(
            "it becomes a draft with a report per row, Art. 8",
            query="""query ($id: ID!) { catalogueImport(id: $id) { state created refused
              remarks(errorsOnly: true) { totalCount }
              resources { nodes { code outcome entry { id version state } } } } }""",
            variables={"id": Kept("import")},
            expected=Delivered(
                {
                    "catalogueImport": {
                        "state": "DONE",
                        "created": 1,
                        "refused": 0,
                        "remarks": {"totalCount": 0},
                        "resources": {
                            "nodes": [
                                {
                                    "code": "302040/1",
                                    "outcome": "CREATED",
                                    "entry": {"id": TEXT, "version": 1, "state": "DRAFT"},
                                }
                            ]
                        },
                    }
                }
            ),
            keep={"entry": "data.catalogueImport.resources.nodes.0.entry.id"},
            patience=20,
            **CATALOGUER,
        ),
        Line(
            "the draft names the obligation that it meets, Art. 8",
            query=act(
                "Entry",
                "amendEntry(id: $id, version: 1, input: {obligations: [$obligation]})",
                "version state problems { message } obligations { state }",
                "$id: ID!, $obligation: ID!",
            ),
            variables={"id": Kept("entry"), "obligation": Kept("obligation")},
            expected=matter("Entry", version=2, state="DRAFT", problems=[], obligations=[{"state": "OPEN"}]),
            **CATALOGUER,
        ),
        Line(
            "the department publishes it itself, and has met its obligation, late, Art. 8",
            query=act(
                "Entry",
                "publishEntry(id: $id, version: 2)",
                "state obligations { state deadlines { met overdue } }",
                "$id: ID!",
            ),
            variables={"id": Kept("entry")},
            expected=matter(
                "Entry",
                state="PUBLISHED",
                obligations=[{"state": "MET", "deadlines": [{"met": True, "overdue": True}]}],
            ),
            **CATALOGUER,
        ),
        Line(
            "any department asks for it by the next request, Art. 7, 11(2)",
            "taxation",
            query='{ catalogue { resource(code: "302040/1") { version shareClass } } '
            "data { civilAffairs { socialOrganisations(first: 1, orderBy: [{creditCode: ASC}]) { totalCount "
            "nodes { creditCode name registeredOn } } } } }",
            expected=Delivered(
                {"catalogue": {"resource": {"version": 1, "shareClass": "CONDITIONAL"}}}
                | tree(
                    "civilAffairs.socialOrganisations",
                    {
                        "totalCount": len(world.social_organisations),
                        "nodes": [
                            {
                                "creditCode": first.credit_code,
                                "name": first.name,
                                "registeredOn": first.registered_on.isoformat(),
                            }
                        ],
                    },
                )
            ),
        ),
    ]
