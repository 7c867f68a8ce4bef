"""In charge of one act under way: opening and moving matters, their deadlines and tasks, notices, grants."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from tanglai.catalogue.calendar import WorkingCalendar
from tanglai.catalogue.model import Department, Grant, GrantState, Resource, ShareClass
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind, rule_set
from tanglai.catalogue.workflow.errors import (
    Conflict,
    InvalidAct,
    NotFound,
    NotPermitted,
    Problem,
    ProblemCode,
    WrongState,
)
from tanglai.catalogue.workflow.machines import MatterKind, Step, machine
from tanglai.catalogue.workflow.parties import Acting, Party, Role
from tanglai.storage import grants
from tanglai.storage.rows import encode
from tanglai.storage.workflow.matters import COLUMNS, Matter, find, matter_of, visible_to

_OPEN = """
INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, requester, provider, coordinator,
                    resource, grant_id, parent, opened_at, changed_at, request_key, document)
VALUES ($1, $2, $3, $4, '', 0, false, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13::jsonb)
"""
_EVENT = """
INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client, person, at,
                          reason, document, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::jsonb, $14)
"""
_DEADLINE = """
INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, started_on, due_on, provisional, calendar)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_RUNNING = "SELECT * FROM deadline WHERE matter = $1 AND kind = $2 AND ended_on IS NULL FOR UPDATE"
_TASKS = """
INSERT INTO matter_task (matter, department, role, since, due_on)
SELECT $1, t.department, t.role, $4,
       (SELECT min(due_on) FROM deadline d WHERE d.matter = $1 AND d.department = t.department
        AND d.ended_on IS NULL AND d.paused_on IS NULL)
FROM unnest($2::text[], $3::text[]) AS t (department, role)
ON CONFLICT (matter, department, role) DO UPDATE SET due_on = excluded.due_on
"""
_NOTICE = """
INSERT INTO notice (department, role, kind, matter, grant_id, resource, at, document)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
"""
PLATFORM = "platform"
MOST_KEY = 200
"""Characters of the name of a request; those of an obligation bear a department's code besides."""
MOST_REASON = 10_000
"""Characters of a reason or a note, whatever the kind of matter bounds it to."""


class Work:
    """One act. Lives within its transaction; everything raised undoes all of it."""

    def __init__(self, connection: Any, acting: Acting, calendar: WorkingCalendar) -> None:
        self.connection = connection
        self.acting = acting
        self.calendar = calendar
        self._touched: set[str] = set()

    @property
    def today(self) -> date:
        """The day of the act, of Asia/Shanghai."""
        return day_of(self.acting.now)

    # --- matters ---------------------------------------------------------------------------------------------------

    async def open(
        self,
        kind: MatterKind,
        event: str,
        *,
        target: str | None = None,
        rules: str | None = None,
        requester: str | None = None,
        provider: str | None = None,
        coordinator: str | None = None,
        resource: str | None = None,
        grant: str | None = None,
        parent: str | None = None,
        document: Mapping[str, Any] | None = None,
        reason: str = "",
        given: Mapping[str, Any] | None = None,
        key: str | None = None,
        brought_about: bool = False,
    ) -> Matter:
        """A new matter under `rules` (by default the rule set in force), opened by `event`.

        `key` is what the client named its request by: where a matter was opened by that name already, it is the
        answer, and nothing is opened. `brought_about` as for `take`. Raises NotPermitted, WrongState.
        """
        acting = self.acting
        named = self._named(key)
        earlier = await self.earlier(kind, key)
        if earlier is not None:
            return earlier
        rules_of = rule_set(rules or acting.snapshot.rule_set)
        number = await self.connection.fetchval("SELECT nextval('matter_number')")
        id = f"{machine(kind).prefix}-{self.today.year}-{number:06d}"
        new = Matter(
            id,
            kind,
            rules_of.id,
            rules_of.version,
            "",
            0,
            False,
            requester,
            provider,
            coordinator,
            resource,
            grant,
            parent,
            acting.now,
            acting.now,
            dict(document or {}),
        )
        step = self._step(new, event, target)
        party, role = (step.by[0].party, step.by[0].role) if brought_about else self._permitted(new, step)
        await self.connection.execute(
            _OPEN,
            id,
            kind.value,
            rules_of.id,
            rules_of.version,
            requester,
            provider,
            coordinator,
            resource,
            grant,
            parent,
            acting.now,
            named,
            encode("matter", id, new.document),
        )
        return await self._record(new, step, party, role, reason, given or {})

    async def earlier(self, kind: MatterKind, key: str | None) -> Matter | None:
        """What this client opened before by a request of the name `key`: for acts that could not be done twice.

        Raises InvalidAct where it opened a matter of another kind, NotPermitted for who could not have opened it.
        """
        named = self._named(key)
        if named is None or key is None:
            return None
        if len(key) > MOST_KEY:
            message = f"longer than {MOST_KEY} characters"
            raise InvalidAct([Problem(("key",), ProblemCode.MALFORMED, message)])
        # Two requests of one name: the second waits here for the first.
        await self.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", named)
        row = await self.connection.fetchrow(f"SELECT {COLUMNS} FROM matter m WHERE request_key = $1", named)
        if row is None:
            return None
        found = matter_of(row)
        if found.kind is not kind:
            raise InvalidAct([Problem(("key",), ProblemCode.TAKEN, "another request was sent under this name already")])
        opening = [step for step in found.machine.steps if not step.source and found.rule_set in step.rule_sets]
        self._permitted(found, replace(opening[0], by=tuple(waits for step in opening for waits in step.by)))
        return found

    def _named(self, key: str | None) -> str | None:
        return f"{self.acting.department}/{self.acting.client}/{key}" if key is not None else None

    async def matter(self, kind: MatterKind | None, id: str, version: int | None = None) -> Matter:
        """The matter `id`, locked until the act ends, as a party to it may read it.

        `version` is the one that the decision was made on; None decides by what is. Raises NotFound, also for somebody
        else's matter, and Conflict.
        """
        row = await self.connection.fetchrow(f"SELECT {COLUMNS} FROM matter m WHERE m.id = $1 FOR NO KEY UPDATE", id)
        found = matter_of(row) if row is not None else None
        word = machine(kind).title_en if kind is not None else "matter"
        if found is None or (kind is not None and found.kind is not kind):
            raise NotFound(word, id)
        if self.acting.department and not visible_to(found, self.acting.department):
            raise NotFound(word, id)
        if version is not None and version != found.version:
            last = await self.connection.fetchrow(
                "SELECT coalesce(person, client) AS who, at FROM matter_event WHERE matter = $1 AND version = $2",
                id,
                found.version,
            )
            raise Conflict(id, given=version, version=found.version, changed_by=last["who"], changed_at=last["at"])
        return found

    async def other(self, id: str) -> Matter:
        """The matter `id`, whoever's it is, locked: for what another matter brings about in it. Raises NotFound."""
        row = await self.connection.fetchrow(f"SELECT {COLUMNS} FROM matter m WHERE m.id = $1 FOR NO KEY UPDATE", id)
        if row is None:
            raise NotFound("matter", id)
        return matter_of(row)

    async def take(
        self,
        matter: Matter,
        event: str,
        *,
        target: str | None = None,
        reason: str = "",
        given: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
        coordinator: str | None = None,
        grant: str | None = None,
        resource: str | None = None,
        brought_about: bool = False,
    ) -> Matter:
        """The matter after `event`, to `target` where the event leads to several states.

        `given` is kept with the event, `document` replaces that of the matter; `coordinator`, `grant` and `resource`
        are set where given. `brought_about`: the actor did something else that brings this about, and was permitted
        that; the step is recorded as theirs. Raises NotPermitted, WrongState.
        """
        step = self._step(matter, event, target)
        changed = replace(
            matter,
            coordinator=coordinator or matter.coordinator,
            grant=grant or matter.grant,
            resource=resource or matter.resource,
            document=dict(document) if document is not None else matter.document,
        )
        party, role = (step.by[0].party, step.by[0].role) if brought_about else self._permitted(changed, step)
        await self._apart(matter, step)
        if changed != matter:
            await self.connection.execute(
                "UPDATE matter SET coordinator = $2, grant_id = $3, resource = $4, document = $5::jsonb WHERE id = $1",
                matter.id,
                changed.coordinator,
                changed.grant,
                changed.resource,
                encode("matter", matter.id, changed.document),
            )
        return await self._record(changed, step, party, role, reason, given or {})

    async def allow(self, matter: Matter, event: str, *, target: str | None = None) -> None:
        """Nothing, where the actor may take `event` now, its guards aside. Raises NotPermitted, WrongState."""
        step = self._step(matter, event, target)
        self._permitted(matter, step)
        await self._apart(matter, step)

    def require(self, party: str | None, role: Role, article: str | None = None) -> None:
        """Nothing, where the actor is of department `party` and holds `role`; else raises NotPermitted."""
        if party is None or self.acting.department != party:
            raise NotPermitted("this is for another department", roles=(role,), article=article)
        if not self.acting.holds(role):
            raise NotPermitted(f"this takes the role `{role}`", roles=(role,), article=article)

    def _step(self, matter: Matter, event: str, target: str | None) -> Step:
        step = matter.machine.step(matter.rule_set, matter.state, event, target)
        if step is None:
            where = f"`{matter.id}` is `{matter.state}`" if matter.state else f"a {matter.machine.title_en}"
            raise WrongState(
                f"{where}: `{event}` is no step of it under `{matter.rule_set}`",
                state=matter.state,
                events=matter.machine.events(matter.rule_set, matter.state),
            )
        return step

    def _permitted(self, matter: Matter, step: Step) -> tuple[Party, Role]:
        """As what the actor may take the step. Raises NotPermitted."""
        acting = self.acting
        for waits in step.by:
            of_party = (
                not acting.department
                if waits.party is Party.PLATFORM
                else (bool(acting.department) and matter.department(waits.party) == acting.department)
            )
            if of_party and acting.holds(waits.role):
                # Who reports doubts sees the item: that was decided by the token's scope already.
                reports = matter.kind is MatterKind.CORRECTION and not step.source
                if not reports and not acting.covers(matter.resource):
                    raise NotPermitted("the token is narrowed to other resources", article="Art. 11(1)")
                return waits.party, waits.role
        of_party = any(matter.department(waits.party) == acting.department for waits in step.by)
        roles = tuple(dict.fromkeys(waits.role for waits in step.by))
        named = " or ".join(f"`{role}`" for role in roles)
        if of_party:
            raise NotPermitted(f"`{step.event}` takes the role {named}", roles=roles)
        parties = " or ".join(dict.fromkeys(waits.party.value for waits in step.by))
        raise NotPermitted(f"`{step.event}` is for the {parties}, role {named}", roles=roles)

    async def _apart(self, matter: Matter, step: Step) -> None:
        # Two are told apart by their names, whatever bears them; a program without a person may be any that uses it.
        if not step.apart_from or not self.acting.department:
            return
        own = await self.connection.fetchval(
            "SELECT event FROM matter_event WHERE matter = $1 AND event = ANY($2) AND department = $3 "
            "AND (coalesce(person, client) = coalesce($4, $5) "
            "OR ((person IS NULL OR $4::text IS NULL) AND client = $5)) LIMIT 1",
            matter.id,
            list(step.apart_from),
            self.acting.department,
            self.acting.person,
            self.acting.client,
        )
        if own is not None:
            raise NotPermitted(
                f"`{self.acting.name}` took `{own}` on `{matter.id}`: somebody else takes `{step.event}`",
                roles=tuple(waits.role for waits in step.by),
                own_act=True,
            )

    async def _record(
        self, matter: Matter, step: Step, party: Party, role: Role, reason: str, given: Mapping[str, Any]
    ) -> Matter:
        acting = self.acting
        if len(reason) > MOST_REASON:
            message = f"longer than {MOST_REASON:,} characters"
            raise InvalidAct([Problem(("reason",), ProblemCode.MALFORMED, message)])
        await self.connection.execute(
            _EVENT,
            matter.id,
            matter.version + 1,
            step.event,
            step.source,
            step.target,
            party.value,
            role.value,
            acting.department or None,
            acting.client,
            acting.person,
            acting.now,
            reason,
            encode("event", matter.id, given),
            acting.request_id,
        )
        self._touched.add(matter.id)
        return replace(
            matter,
            state=step.target,
            version=matter.version + 1,
            closed=matter.machine.states[step.target].final,
            changed_at=acting.now,
        )

    # --- deadlines -------------------------------------------------------------------------------------------------

    async def start_deadline(
        self,
        matter: Matter,
        kind: DeadlineKind,
        department: str,
        *,
        event_day: date | None = None,
        share_class: ShareClass | None = None,
        days: int | None = None,
    ) -> None:
        """Starts the clock of `department`, by the matter's own rule set; nothing where that has no such deadline.

        `event_day` is the day of what starts it, by default today; it is not counted. `days` are given by the act where
        the rule leaves them to it.
        """
        rule = rule_set(matter.rule_set).deadlines.get(kind)
        given = days if days is not None else (rule.working_days(share_class) if rule is not None else None)
        if given is None:
            return
        started = event_day or self.today
        due = self.calendar.due(started, given)
        await self.connection.execute(
            _DEADLINE,
            matter.id,
            kind.value,
            department,
            matter.rule_set,
            matter.rule_version,
            given,
            started,
            due.day,
            due.provisional,
            self.calendar.version,
        )
        self._touched.add(matter.id)

    async def end_deadline(self, matter: Matter, kind: DeadlineKind, *, met: bool) -> None:
        """Stops the clock: `met` where what was due is done, however late."""
        await self.connection.execute(
            "UPDATE deadline SET ended_on = $3, met = $4 WHERE matter = $1 AND kind = $2 AND ended_on IS NULL",
            matter.id,
            kind.value,
            self.today,
            met,
        )
        self._touched.add(matter.id)

    async def pause_deadline(self, matter: Matter, kind: DeadlineKind) -> None:
        """Lets the clock stand from today, where the rule has it so (Order 809 Art. 21)."""
        rule = rule_set(matter.rule_set).deadlines.get(kind)
        if rule is not None and rule.pauses:
            await self.connection.execute(
                "UPDATE deadline SET paused_on = $3 WHERE matter = $1 AND kind = $2 AND ended_on IS NULL "
                "AND paused_on IS NULL",
                matter.id,
                kind.value,
                self.today,
            )
            self._touched.add(matter.id)

    async def resume_deadline(self, matter: Matter, kind: DeadlineKind) -> None:
        """Lets a standing clock go on; the working days that passed meanwhile do not count."""
        row = await self.connection.fetchrow(_RUNNING, matter.id, kind.value)
        if row is None or row["paused_on"] is None:
            return
        paused = row["paused_days"] + self.calendar.elapsed(row["paused_on"], self.today)
        due = self.calendar.due(row["started_on"], row["days"] + row["extended_days"] + paused)
        await self.connection.execute(
            "UPDATE deadline SET paused_on = NULL, paused_days = $2, due_on = $3, provisional = $4, calendar = $5 "
            "WHERE id = $1",
            row["id"],
            paused,
            due.day,
            due.provisional,
            self.calendar.version,
        )
        self._touched.add(matter.id)

    async def extend_deadline(self, matter: Matter, kind: DeadlineKind, days: int) -> None:
        """Adds `days` working days to a running clock."""
        row = await self.connection.fetchrow(_RUNNING, matter.id, kind.value)
        if row is None:
            raise WrongState(f"no deadline of `{matter.id}` runs", state=matter.state)
        extended = row["extended_days"] + days
        due = self.calendar.due(row["started_on"], row["days"] + extended + row["paused_days"])
        await self.connection.execute(
            "UPDATE deadline SET extended_days = $2, due_on = $3, provisional = $4, calendar = $5, flagged_at = NULL, "
            "reminded = NULL WHERE id = $1",
            row["id"],
            extended,
            due.day,
            due.provisional,
            self.calendar.version,
        )
        self._touched.add(matter.id)

    # --- notices, grants -------------------------------------------------------------------------------------------

    async def notify(
        self,
        department: str,
        kind: str,
        *,
        role: Role | None = None,
        matter: str | None = None,
        grant: str | None = None,
        resource: str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        """Tells `department` something that it need not answer."""
        await self.connection.execute(
            _NOTICE,
            department,
            role.value if role is not None else None,
            kind,
            matter,
            grant,
            resource,
            self.acting.now,
            encode("notice", kind, document or {}),
        )

    async def commit_time(self) -> datetime:
        """From when a grant holds: not after the request's own moment, which runs ahead a little of the database's.

        Whoever asks next, on any node, decides by a later one.
        """
        now: datetime = await self.connection.fetchval("SELECT clock_timestamp()")
        return min(now, self.acting.now)

    async def record_grant(self, matter: Matter, grant: Grant, *, reason: str) -> Matter:
        """`matter` with `grant`, which rests on it and holds from the commit on; the act holds Lock.GRANTS.

        The event that brings it about names its id in what is given, for the audit log. Raises Refused.
        """
        await grants.put(self.connection, [grant], by=self._by(), reason=reason)
        await self.connection.execute(
            "INSERT INTO grant_basis (grant_id, matter) VALUES ($1, $2) ON CONFLICT (grant_id) DO NOTHING",
            grant.id,
            matter.id,
        )
        await self.connection.execute("UPDATE matter SET grant_id = $2 WHERE id = $1", matter.id, grant.id)
        return replace(matter, grant=grant.id)

    async def grant_id(self) -> str:
        """An id for a new grant."""
        number = await self.connection.fetchval("SELECT nextval('matter_number')")
        return f"G-{self.today.year}-{number:06d}"

    async def set_grant_state(self, grant: str, state: GrantState, *, reason: str) -> None:
        """Takes a grant to `state`; the act holds Lock.GRANTS. Raises Refused."""
        await grants.set_state(self.connection, grant, state, by=self._by(), reason=reason)

    async def grant(self, id: str) -> Grant | None:
        """The grant `id` as it is now, whoever's it is; read against the published version of its resource."""
        return await grants.find(self.connection, id, self.acting.snapshot.resources)

    async def resource(self, code: str) -> Resource | None:
        """The newest version of a resource as the database has it now, published or retired."""
        return (await grants.newest_resources(self.connection, [code])).get(code)

    def department(self, code: str | None) -> Department | None:
        return self.acting.snapshot.departments.get(code or "")

    def _by(self) -> str:
        acting = self.acting
        return f"{acting.department}/{acting.name}" if acting.department else PLATFORM

    # --- the end ---------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """What follows from the act by itself: clocks of what is over stop, and tasks are those of the states."""
        for id in sorted(self._touched):
            matter = await find(self.connection, id)
            assert matter is not None
            if matter.closed:
                await self.connection.execute(
                    "UPDATE deadline SET ended_on = $2, met = false WHERE matter = $1 AND ended_on IS NULL",
                    id,
                    self.today,
                )
            waits = [
                (department, waits.role.value)
                for waits in matter.standing.waits
                if (department := matter.department(waits.party)) is not None
            ]
            departments, roles = [pair[0] for pair in waits], [pair[1] for pair in waits]
            await self.connection.execute(
                "DELETE FROM matter_task WHERE matter = $1 "
                "AND (department, role) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
                id,
                departments,
                roles,
            )
            if waits:
                await self.connection.execute(_TASKS, id, departments, roles, self.acting.now)
        self._touched.clear()
