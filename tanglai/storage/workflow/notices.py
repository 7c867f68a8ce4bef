"""In charge of notices: what a department is told and need not answer, in words of two languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tanglai.catalogue.workflow.parties import Acting
from tanglai.storage.rows import decode
from tanglai.storage.workflow.desk import Desk

WORDS: Mapping[str, tuple[str, str]] = {
    "APPLICATION_INCOMPLETE": ("申请材料不全，请一次性补正", "something is missing in your application"),
    "APPLICATION_WITHDRAWN": ("申请已撤回", "an application was withdrawn"),
    "APPLICATION_ANSWERED": ("申请已答复", "your application was answered"),
    "POSITION_STATED": ("对方已陈述意见", "another party stated its position"),
    "CONSULTATION_AGREED": ("协商一致，授权已生效", "a consultation was agreed on, and is granted"),
    "CONSULTATION_WITHDRAWN": ("协商已撤回", "a consultation was withdrawn"),
    "COORDINATION_OPENED": ("已提请主管部门协调", "a dispute was brought to the competent department"),
    "COORDINATION_DECIDED": ("协调已作出决定", "the competent department decided, and it is carried out"),
    "COORDINATION_WITHDRAWN": ("协调申请已撤回", "a coordination was withdrawn"),
    "CORRECTION_BEGUN": ("疑义数据正在核查", "doubted data are being checked"),
    "CORRECTION_ANSWERED": ("疑义数据核查已答复", "your doubts about data were answered"),
    "CORRECTION_WITHDRAWN": ("疑义数据核查申请已撤回", "a report of doubted data was withdrawn"),
    "ENTRY_PUBLISHED": ("目录条目已审核发布", "an entry of your catalogue is published"),
    "ENTRY_RETURNED": ("目录条目被退回，请按意见修改", "an entry of your catalogue is returned with reasons"),
    "ENTRY_WITHDRAWN": ("目录条目已撤回", "an entry was withdrawn"),
    "RESOURCE_CHANGED": ("已授权的信息资源有变更", "a resource that you hold a grant on changes"),
    "RESOURCE_RETIRED": ("信息资源已下线", "a resource is retired"),
    "OBLIGATION_OPENED": ("须更新目录", "the catalogue has to be brought up to date"),
    "OBLIGATION_OVERDUE": ("须更新目录，已逾期", "the catalogue should have been brought up to date already"),
    "OBLIGATION_CANCELLED": ("目录更新义务已撤销", "an obligation to update the catalogue is cancelled"),
    "DEADLINE_NEAR": ("期限将至", "a deadline comes near"),
    "DEADLINE_MISSED": ("已超过期限", "a deadline was missed"),
    "DEADLINE_MISSED_BY_OTHER": ("对方已超过期限", "another department missed a deadline"),
    "DEADLINE_EXTENDED": ("答复期限已延长", "the reply takes longer, with the competent department's consent"),
    "EXTENSION_DECIDED": ("延期申请已决定", "your request for more time was decided"),
    "GRANT_SUSPENDED": ("共享授权已暂停", "a grant is suspended"),
    "GRANT_RESUMED": ("共享授权已恢复", "a grant holds again"),
    "GRANT_ENDED": ("共享授权已终止", "a grant has ended"),
    "GRANT_EXPIRED": ("共享授权已到期", "the validity of a grant is over"),
    "GRANT_EXPIRES": ("共享授权即将到期", "the validity of a grant is over soon: renew it if it is needed"),
    "GRANT_DISPOSED": ("对方已声明数据处置", "the disposal of the data of a grant is stated"),
    "COMPLIANCE_REPORTED": ("对方已报告整改", "the other department reports that it put things right"),
    "COMPLIANCE_SENT_BACK": ("整改未通过，须继续整改", "what was put right is not enough"),
    "SERVICE_CHANGE_PROPOSED": ("提供部门拟变更或终止共享服务", "the provider wants to change or end a service"),
    "SERVICE_CHANGE_AGREED": ("对方已同意服务变更", "the requester agrees to a change of the service"),
    "SERVICE_CHANGE_OBJECTED": ("对方对服务变更有异议", "the requester objects to a change of the service"),
    "SERVICE_CHANGE_FILED": ("服务变更已备案并执行", "a change of a service is filed and carried out"),
    "SERVICE_CHANGE_WITHDRAWN": ("服务变更已撤回", "a change of a service is given up"),
}
"""Kind of a notice -> Chinese and English. A kind that is not here is told by its code; a test finds such."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. `role` None: for everybody of the department. Numbers go up with time."""

    id: int
    kind: str
    role: str | None
    matter: str | None
    grant: str | None
    resource: str | None
    at: datetime
    document: Mapping[str, Any]
    read_at: datetime | None

    @property
    def key(self) -> str:
        return f"{self.id:020d}"


def words(notice: Notice, language: Literal["zh", "en"]) -> str:
    """The notice in words."""
    chinese, english = WORDS.get(notice.kind, (notice.kind, notice.kind))
    return chinese if language == "zh" else english


_MINE = "n.department = $1 AND (n.role IS NULL OR n.role = ANY($2))"


async def page(
    connection: Any,
    department: str,
    roles: Sequence[str],
    *,
    unread: bool,
    after: str | None,
    before: str | None,
    limit: int,
    last: bool,
) -> list[Notice]:
    """The first (or last) `limit` notices for people of `department` with `roles`, keys between `after`, `before`."""
    rows = await connection.fetch(
        f"SELECT * FROM notice n WHERE {_MINE} {'AND n.read_at IS NULL' if unread else ''} "
        "AND ($3::bigint IS NULL OR n.id > $3) AND ($4::bigint IS NULL OR n.id < $4) "
        f"ORDER BY n.id {'DESC' if last else 'ASC'} LIMIT $5",
        department,
        list(roles),
        _number(after),
        _number(before),
        limit,
    )
    found = [
        Notice(
            row["id"],
            row["kind"],
            row["role"],
            row["matter"],
            row["grant_id"],
            row["resource"],
            row["at"],
            decode(row["document"]),
            row["read_at"],
        )
        for row in rows
    ]
    return found[::-1] if last else found


async def count(connection: Any, department: str, roles: Sequence[str], *, unread: bool) -> int:
    """How many notices `page` goes through in all."""
    number: int = await connection.fetchval(
        f"SELECT count(*) FROM notice n WHERE {_MINE} {'AND n.read_at IS NULL' if unread else ''}",
        department,
        list(roles),
    )
    return number


async def mark_read(desk: Desk, acting: Acting, roles: Sequence[str], ids: Sequence[str]) -> None:
    """Marks those of the notices `ids` that are for the actor, and not read yet."""
    async with desk.work(acting) as work:
        await work.connection.execute(
            f"UPDATE notice n SET read_at = $3, read_by = $4 WHERE {_MINE} AND n.id = ANY($5) AND n.read_at IS NULL",
            acting.department,
            list(roles),
            acting.now,
            acting.name,
            [int(id) for id in ids if id.isascii() and id.isdigit() and len(id) < 19],
        )


def _number(key: str | None) -> int | None:
    if key is None:
        return None
    return int(key) if key.isascii() and key.isdigit() and len(key) <= 20 else 0
