"""In charge of the region that the browser tests look at: a schema described as the platform does it, and its rows."""

from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema

DEPARTMENTS = [
    {"key": "taxation", "code": "11640000MB0163372Q", "name": "自治区税务局", "nameEn": "Taxation"},
    {"key": "public-security", "code": "11640000010000120R", "name": "自治区公安厅", "nameEn": "Public Security"},
    {"key": "civil-affairs", "code": "11640000010000200H", "name": "自治区民政厅", "nameEn": "Civil Affairs"},
]
PURPOSES = [
    {"code": "tax-assessment", "title": "税收征管", "titleEn": "tax assessment"},
    {"code": "subsistence-allowance", "title": "最低生活保障审核", "titleEn": "subsistence allowance review"},
]
EXAMPLES = [
    {
        "title": "税务局查居民基本信息与电话",
        "titleEn": "Taxation looks up residents",
        "department": "taxation",
        "purpose": "tax-assessment",
        "query": """query Residents($first: Int!) {
  data {
    population {
      residents(first: $first) {
        nodes {
          name
          idNumber
          phone
          address
          household
        }
      }
    }
  }
}""",
        "variables": {"first": 5},
    },
    {
        "title": "民政厅查居民电话（已获授权）",
        "titleEn": "Civil Affairs has a grant",
        "department": "civil-affairs",
        "purpose": "subsistence-allowance",
        "query": "query Allowance {\n  data {\n    population {\n      residents(first: 3) {\n        nodes {\n"
        "          name\n          phone\n        }\n      }\n    }\n  }\n}",
    },
    {
        "title": "数据目录里有什么",
        "titleEn": "What the catalogue has",
        "department": "taxation",
        "purpose": "tax-assessment",
        "query": "query Catalogue {\n  catalogue {\n    resources(first: 10) {\n      nodes {\n        code\n"
        "        name\n        shareClass\n      }\n    }\n  }\n}",
    },
]

SDL = '''
"""在数据共享平台上可以查询的一切。"""
type Query {
  """谁在查询"""
  me: Principal!
  """数据目录"""
  catalogue: Catalogue!
  """各部门共享的数据，按目录主题分组"""
  data: Data!
}
type Mutation {
  """提交共享申请；有条件共享类由提供部门在 10 个工作日内答复（Art. 11）"""
  submitApplication(input: ApplicationInput!): Application!
}
type Subscription { ticks(count: Int!): Int! }
type Principal { department: Department! }
type Department { code: ID! name: String! }
type Catalogue { resources(first: Int): ResourceConnection! }
type ResourceConnection { nodes: [Resource!]! }
type Resource { code: ID! name: String! shareClass: ShareClass! }
enum ShareClass {
  "无条件共享"
  UNCONDITIONAL
  "有条件共享"
  CONDITIONAL
  "不予共享"
  NOT_SHARED
}
input ApplicationInput {
  resource: ID!
  items: [String!]!
  purpose: String!
  duty: String!
  legalBasis: String!
  rows: String
  validUntil: String
}
type Application { id: ID! state: String! dueOn: String provider: Department }
"""按目录主题分组的数据"""
type Data {
  """人口：居民、户籍"""
  population: PopulationData!
  MORE_GROUPS
}
"""人口 · 基础信息资源"""
type PopulationData {
  id: ID!
  """
  **居民基本信息** · 有条件共享 `CONDITIONAL` (Ningxia Measures Art. 11(3))

  - Resource 资源代码: `1010101/1`, version 1
  """
  residents(
    where: ResidentWhere, orderBy: [ResidentOrder!], first: Int, after: String, last: Int, before: String
  ): ResidentConnection
  """按身份号码取一人"""
  resident(idNumber: String!): Resident
}
type ResidentConnection { nodes: [Resident] totalCount: Int pageInfo: PageInfo! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
input ResidentWhere { name: TextWhere phone: TextWhere and: [ResidentWhere!] }
input TextWhere { eq: String startsWith: String isNull: Boolean }
input ResidentOrder { name: Direction }
enum Direction { ASC DESC }
"""
**居民基本信息** · 有条件共享 `CONDITIONAL` (Ningxia Measures Art. 11(3))

常住人口的基本信息与业务信息。

- Resource 资源代码: `1010101/1`, version 1
- Provider 提供部门: 自治区公安厅
- Update cycle 更新周期: 每日 `DAILY`
- Condition 共享条件: 仅用于依法履职
- Use 获取方式: apply, reply due in 10 working days 向自治区公安厅申请，10个工作日内答复 (Art. 11(3))
"""
type Resident {
  """
  **姓名** · 无条件共享 `UNCONDITIONAL` (Ningxia Measures Art. 10(2))

  - Provider 提供部门: 自治区公安厅
  - Use 获取方式: directly, without an application 无需申请，直接获取 (Ningxia Measures Art. 11(2))
  """
  name: String
  """
  **公民身份号码** · 无条件共享 `UNCONDITIONAL` (Ningxia Measures Art. 10(2))

  - Provider 提供部门: 自治区公安厅
  """
  idNumber: String
  """
  **联系电话** · 有条件共享 `CONDITIONAL` (Ningxia Measures Art. 11(3))

  - Provider 提供部门: 自治区公安厅
  - Condition 共享条件: 仅用于依法履职所需的联系
  - Masks 脱敏方式: `mobile-3-4`
  - Use 获取方式: apply, reply due in 10 working days 向自治区公安厅申请，10个工作日内答复 (Art. 11(3))
  """
  phone: String
  """
  **现住址** · 有条件共享 `CONDITIONAL` (Ningxia Measures Art. 11(3))

  - Provider 提供部门: 自治区公安厅
  """
  address: String
  """
  **户号** · 不予共享 `NOT_SHARED` (Ningxia Measures Art. 11(4))

  - Provider 提供部门: 自治区公安厅
  - Use 获取方式: only by consultation with the provider 与自治区公安厅协商 (Ningxia Measures Art. 11(4))
  """
  household: String
}
MORE_TYPES
'''


def big_schema(groups: int, resources: int) -> GraphQLSchema:
    """A schema of `groups` groups with `resources` resources each, seven types to a resource."""
    more_groups: list[str] = []
    types: list[str] = []
    for group in range(groups):
        more_groups.append(f"g{group}: G{group}Data!")
        fields: list[str] = []
        for number in range(resources):
            name = f"G{group}R{number}"
            fields.append(f"r{number}(where: {name}Where, orderBy: [{name}Order!], first: Int): {name}Connection")
            types += [
                f"type {name}Connection {{ edges: [{name}Edge] nodes: [{name}] totalCount: Int }}",
                f"type {name}Edge {{ cursor: String node: {name} }}",
                f'type {name} {{ """**编号** · 无条件共享 `UNCONDITIONAL` (Art. 10(2))""" id: ID '
                f'"""**金额** · 有条件共享 `CONDITIONAL` (Art. 11(3))""" amount: String }}',
                f"input {name}Where {{ id: TextWhere amount: TextWhere and: [{name}Where!] }}",
                f"input {name}Order {{ id: Direction amount: Direction }}",
                f"enum {name}Group {{ id amount }}",
                f"type {name}Aggregate {{ key: {name}Group count: Int }}",
            ]
        types.append(f"type G{group}Data {{ {' '.join(fields)} }}")
    return build_schema(SDL.replace("MORE_GROUPS", "\n".join(more_groups)).replace("MORE_TYPES", "\n".join(types)))


def small_schema() -> GraphQLSchema:
    """The schema of the region alone."""
    return big_schema(0, 0)


ROWS = [
    {
        "name": name,
        "idNumber": f"6401011990010{number}1{number}35",
        "phone": f"1390951{number:04}",
        "address": "银川市兴庆区解放西街 1 号",
        "household": f"H{number}",
    }
    for number, name in enumerate(["马晓燕", "王建国", "李秀英", "张伟", "杨志强", "=1+1"])
]
RESOURCES = [
    {"code": "1010101/1", "name": "居民基本信息", "shareClass": "CONDITIONAL"},
    {"code": "1010102/1", "name": "企业登记信息", "shareClass": "UNCONDITIONAL"},
]


@dataclass
class Answer:
    """What one operation gathers besides its data: errors and response extensions."""

    department: str
    language: str
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)


PROVIDER = {"code": "11640000010000120R", "name": "自治区公安厅", "key": "public-security"}
REASONS = {
    "GRANT_REQUIRED": ("该信息项有条件共享，须经提供部门同意", "the item is shared conditionally and needs a grant"),
    "NOT_SHARED": ("该信息项不予共享", "the item is not shared"),
}
REMEDIES = {
    "GRANT_REQUIRED": (
        "向自治区公安厅提出申请（submitApplication），10个工作日内答复",
        "apply to Public Security (`submitApplication`), reply due in 10 working days",
    ),
    "NOT_SHARED": (
        "确因履职需要的，与自治区公安厅协商（openConsultation）；协商不成的，由同级数据共享主管部门协调",
        "if duties really require it, consult with Public Security (`openConsultation`); failing that, the competent "
        "department of that level coordinates",
    ),
}
STEPS = {"GRANT_REQUIRED": ("APPLY", "submitApplication", 10), "NOT_SHARED": ("CONSULT", "openConsultation", None)}


ARTICLE_WORDS = {
    "Ningxia Measures Art. 11(3)": (
        "《宁夏回族自治区政务数据资源共享管理办法》第十一条第三款",
        "Ningxia Administrative Measures on Sharing Government Affairs Data Resources, Art. 11(3)",
    ),
}
"""Words of an article; the others are cited alone, as by a server that has no words."""


def _deny(answer: Answer, item: str, code: str, article: str) -> None:
    """Adds the denial of `item`, once per operation, in the form of the platform's own errors."""
    if any(error["extensions"]["item"] == item for error in answer.errors):
        return
    language = 0 if answer.language.startswith("zh") else 1
    action, mutation, days = STEPS[code]
    path = ["data", "population", "residents", "nodes"]
    answer.errors.append(
        {
            "message": f"`{item}` of `1010101/1`: {REASONS[code][1]}",
            "path": path,
            "extensions": {
                "code": code,
                "article": article,
                **({"articleWords": ARTICLE_WORDS[article][language]} if article in ARTICLE_WORDS else {}),
                "resource": "1010101/1",
                "item": item,
                "fieldPath": ".".join([*path, item]),
                "reason": REASONS[code][language],
                "remedy": {
                    "action": action,
                    "department": PROVIDER["code"],
                    "departmentName": PROVIDER["name"],
                    "departmentKey": PROVIDER["key"],
                    "resource": "1010101/1",
                    "items": [item],
                    "relations": [],
                    "mutation": mutation,
                    "replyWithinWorkingDays": days,
                    "words": REMEDIES[code][language],
                },
                "grants": [],
                "requestId": "req-1",
            },
        }
    )


def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Default resolver of the region: conditional items of a resident need the grant of civil affairs."""
    answer: Answer = info.context
    name = info.field_name
    parent = info.parent_type.name
    if parent == "Principal":
        found = next((one for one in DEPARTMENTS if one["key"] == answer.department), None)
        return found or {"code": "", "name": answer.department}
    if name == "resources":
        return {"nodes": RESOURCES}
    if name == "residents":
        return {"nodes": ROWS[: arguments.get("first", 50)], "pageInfo": {}}
    if name == "submitApplication":
        if not arguments["input"]["duty"]:
            raise GraphQLError("`duty` is empty", extensions={"code": "BAD_INPUT", "requestId": "req-2"})
        return {"id": "app-1", "state": "SUBMITTED", "dueOn": "2026-10-09", "provider": PROVIDER}
    if parent == "Resident" and name in {"phone", "address"} and answer.department != "civil-affairs":
        return _deny(answer, name, "GRANT_REQUIRED", "Ningxia Measures Art. 11(3)")
    if parent == "Resident" and name == "household":
        return _deny(answer, name, "NOT_SHARED", "Ningxia Measures Art. 11(4)")
    if parent == "Resident" and name == "phone":
        answer.extensions = {"grants": ["grant-7"], "masked": ["data.population.residents.nodes.phone"], "partial": []}
        return f"{source[name][:3]}****{source[name][-4:]}"
    if isinstance(source, dict) and name in source:
        return source[name]
    return {}
