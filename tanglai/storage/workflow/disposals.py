"""In charge of disposal statements: what became of the data when their purpose is fulfilled or the grant over (O25)."""

from collections.abc import Mapping
from typing import Any

from tanglai.catalogue.model import Grant, GrantState
from tanglai.catalogue.workflow.errors import WrongState
from tanglai.catalogue.workflow.grant_life import ARTICLES, RUNNING, disposal_statement
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.grant_news import held, open_of, tell
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

DISPOSAL = MatterKind.DISPOSAL


async def state(desk: Desk, acting: Acting, id: str, version: int, statement: Mapping[str, Any]) -> Matter:
    """The statement that is owed for a grant that is over (grant_life.py: its form); the grant is DISPOSED then."""
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(DISPOSAL, id, version)
        grant = await work.grant(matter.grant or "")
        assert grant is not None
        return await _state(work, matter, grant, statement)


async def dispose(desk: Desk, acting: Acting, grant: str, statement: Mapping[str, Any]) -> Matter:
    """The same of one's own accord: for a grant that is over, or that runs and is needed no more, which ends by it.

    Raises WrongState for one whose disposal is stated already.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        found = await held(work, grant)
        article = ARTICLES[acting.snapshot.rule_set]["disposal"]
        work.require(found.grant.requester, Role.APPLICANT, article)
        if found.grant.state is GrantState.DISPOSED:
            raise WrongState(f"the disposal of grant `{grant}` is stated", state=found.grant.state.value)
        if found.grant.state in RUNNING:
            # Read before the end of the grant, whose news opens what is owed.
            disposal_statement(statement, found.grant, today=work.today, article=article)
            await work.set_grant_state(grant, GrantState.ENDED, reason="the requester needs it no more")
            await tell(work, grant)
        matter = await open_of(work, grant, DISPOSAL)
        if matter is None:
            matter = await work.open(
                DISPOSAL,
                "OPEN",
                requester=found.grant.requester,
                provider=found.provider,
                resource=found.grant.resource,
                grant=grant,
            )
        return await _state(work, matter, found.grant, statement)


async def _state(work: Work, matter: Matter, grant: Grant, statement: Mapping[str, Any]) -> Matter:
    article = ARTICLES[matter.rule_set]["disposal"]
    document = disposal_statement(statement, grant, today=work.today, article=article)
    matter = await work.take(matter, "STATE", reason=document["method"], given=document, document=document)
    await work.set_grant_state(grant.id, GrantState.DISPOSED, reason=f"{matter.id}: {document['method']}")
    if matter.provider is not None:
        await work.notify(
            matter.provider,
            "GRANT_DISPOSED",
            role=Role.REVIEWER,
            matter=matter.id,
            grant=grant.id,
            resource=matter.resource,
            document={"kept": len(document["kept"])},
        )
    return matter
