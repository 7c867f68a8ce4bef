"""In charge of what the workbench offers in the demo: whom to play, for which purpose, and examples to run."""

from collections.abc import Iterable

from tanglai.catalogue.model import Department, Purpose
from tanglai.server.demo_session import DemoExample, DemoSession

DEFAULT_DEPARTMENT, DEFAULT_PURPOSE = "taxation", "TAX-COLLECTION"
EVERYBODY = frozenset({"applicant", "reviewer", "cataloguer", "head", "auditor", "client-administrator"})
"""Roles of the workbench's people in every department, so that one person can try both sides of the law's work."""

COMPETENT = frozenset({"coordinator", "supervisor"})
OWN_DATA = frozenset({"data.own"})
PROVIDERS = (
    "public-security",
    "market-regulation",
    "natural-resources",
    "social-security",
    "civil-affairs",
    "health",
    "taxation",
)
"""Departments whose people see their own data in the workbench."""

OWNER = "640104198503121282"
"""Identity number of the cast's `owner`; a test holds it to the data."""

EXAMPLES = (
    DemoExample(
        "基本项直接取用，电话须申请：看错误中的条款和办理途径",
        "Basic items at once, phones on application: see article and remedy in the error",
        "taxation",
        "TAX-COLLECTION",
        """{
  data {
    population {
      residents(first: 5, where: {division: {startsWith: "6401"}}) {
        nodes { name idNumber birthDate phone }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
""",
    ),
    DemoExample(
        "一次查询四个系统：居民、车辆、企业和电子证照",
        "Four systems in one query: a resident, vehicles, companies and licences",
        "taxation",
        "TAX-COLLECTION",
        """query Person($idNumber: String!) {
  data {
    population {
      resident(idNumber: $idNumber) {
        name
        vehicles { nodes { plate brand energy displacement } }
        companies {
          nodes {
            name
            annualRevenue
            licences { nodes { licenceNumber licenceType validTo } }
            taxRecords { nodes { taxYear creditRating taxPaid } }
          }
        }
      }
    }
  }
}
""",
        {"idNumber": OWNER},
    ),
    DemoExample(
        "按行授权：只有银川市的电话，其他为空",
        "Granted by row: phones of Yinchuan, null elsewhere",
        "social-security",
        "PENSION-VERIFICATION",
        """{
  data {
    population {
      residents(first: 10, where: {birthDate: {lt: "1950-01-01"}}, orderBy: [{birthDate: ASC}]) {
        nodes { name division phone currentAddress }
      }
    }
  }
}
""",
    ),
    DemoExample(
        "脱敏：电话只见首尾，不能用于筛选",
        "Masked: both ends of a phone, and no filter by it",
        "market-regulation",
        "ENTERPRISE-SUPERVISION",
        """query Representatives {
  data {
    population {
      residents(first: 5, where: {name: {startsWith: "马"}}) {
        nodes { name phone }
      }
    }
  }
}
""",
    ),
    DemoExample(
        "下级部门只见本行政区域的低保数据，统计也是",
        "A city's department sees its own area's allowances, in sums too",
        "yinchuan-civil-affairs",
        "SOCIAL-ASSISTANCE",
        """{
  data {
    civilAffairs {
      allowancesAggregate(groupBy: [DIVISION]) {
        key { division }
        count
        sum { monthlyAmount }
      }
      allowances(first: 3, orderBy: [{monthlyAmount: DESC}]) {
        totalCount
        nodes { caseNumber applicantName division monthlyAmount }
      }
    }
  }
}
""",
    ),
    DemoExample(
        "不予共享的诊断：经协调授权，患者以假名出现",
        "A diagnosis that is not shared: opened by coordination, patients under pseudonyms",
        "civil-affairs",
        "SOCIAL-ASSISTANCE",
        """{
  data {
    health {
      diseaseCases(first: 5, orderBy: [{caseNumber: ASC}]) {
        nodes { caseNumber idNumber diseaseClass diagnosis }
      }
    }
  }
}
""",
    ),
    DemoExample(
        "先问后查：哪些项可用，依据哪一条，配额还剩多少，怎样申请",
        "Ask before you query: which items, by which article, what is left today, how to apply",
        "natural-resources",
        "REAL-ESTATE-REGISTRATION",
        """{
  me { department { name } purpose { title } }
  explainAccess(resource: "1010101/1", purpose: "REAL-ESTATE-REGISTRATION") {
    items {
      name
      shareClass
      verdict
      rows
      usable
      articleWords
      denial { code reason remedy { action words replyWithin department { name } } }
      useDenial { code reason }
      statistics { dimensions measures period rows }
    }
    quotas { grant remaining { rows requests subjects } }
  }
}
""",
    ),
    DemoExample(
        "收件箱：待办按期限排列，还剩几个工作日",
        "The inbox: what waits, by due date, with the working days that are left",
        "public-security",
        "HOUSEHOLD-REGISTRATION",
        """{
  inbox {
    waiting
    overdue
    tasks {
      nodes {
        dueOn
        workingDaysLeft
        matter {
          number
          kind
          stateWords
          requester { name }
          mySteps
          ... on Application { items purpose { title } duty legalBasis }
        }
      }
    }
    notices(last: 5) { nodes { at words } }
  }
}
""",
    ),
    DemoExample(
        "申请有条件共享的数据：十个工作日内答复",
        "Apply for conditional data: a reply within ten working days",
        "taxation",
        "TAX-COLLECTION",
        """mutation Apply {
  apply(
    input: {
      resource: "1010101/1"
      items: ["phone"]
      purpose: "TAX-COLLECTION"
      duty: "送达税务文书"
      legalBasis: "税收征收管理法实施细则第一百零一条"
    }
  ) {
    __typename
    ... on Application {
      number
      stateWords
      provider { name }
      deadlines { dueOn workingDays provisional articleWords }
    }
    ... on ActError { code message articleWords }
    ... on InvalidAct { problems { field code message article } }
  }
}
""",
    ),
    DemoExample(
        "监督评价：谁按时更新目录、按时答复，权重公开",
        "Supervision: who updates and replies in time, the weights shown",
        "data-office",
        "POPULATION-ANALYSIS",
        """query Evaluation($from: Date!, $to: Date!) {
  supervision(from: $from, to: $to) {
    ... on Supervision {
      weights { code weight article }
      departments {
        rank
        points
        department { name }
        deadlines { kind due onTime late overdue medianWorkingDays }
        overdueNow { kind count }
      }
    }
    ... on ActError { message }
  }
}
""",
        {"from": "2026-01-01", "to": "2026-12-31"},
    ),
)
"""Each shows one rule at work and runs as its department, for its purpose."""


def demo_session(departments: Iterable[Department], purposes: Iterable[Purpose]) -> DemoSession:
    """The session over the catalogue's departments and purposes; the default is Taxation, collecting taxes."""
    known = tuple(departments)
    order = [DEFAULT_DEPARTMENT, *dict.fromkeys(example.department for example in EXAMPLES)]
    return DemoSession(
        departments=tuple(sorted(known, key=lambda d: (order.index(d.key) if d.key in order else len(order), d.code))),
        purposes=tuple(purposes),
        department=DEFAULT_DEPARTMENT,
        purpose=DEFAULT_PURPOSE,
        examples=EXAMPLES,
        roles={
            one.key: EVERYBODY
            | (OWN_DATA if one.key in PROVIDERS else frozenset())
            | (COMPETENT if one.competent else frozenset())
            for one in known
        },
    )
