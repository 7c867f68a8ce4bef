"""In charge of what the platform does by itself, in the model: deadlines looked after, and grants told of."""

from tests.property.workflows.law import REMINDERS, due
from tests.property.workflows.model import Attempt, Person, World

PLATFORM = Person("", "platform", frozenset({"operator"}))


def look_after(world: World) -> None:
    """Missed deadlines are flagged, near ones told, each point once."""
    running = [(m, c) for m in world.matters for c in m.clocks if c.runs and c.paused_on is None]
    for matter, clock in running:
        if clock.due < world.day and not clock.flagged:
            clock.flagged = True
            world.notices.append((matter, clock.department, "DEADLINE_MISSED"))
            for other in {matter.requester, matter.coordinator} - {None, clock.department}:
                world.notices.append((matter, str(other), "DEADLINE_MISSED_BY_OTHER"))
    for point in sorted(REMINDERS):
        for matter, clock in running:
            near = world.day <= clock.due <= due(world.day, point)
            if near and (clock.reminded is None or clock.reminded > point):
                clock.reminded = point
                world.notices.append((matter, clock.department, "DEADLINE_NEAR"))


def tell_all(world: World) -> None:
    """What is not told yet of grants is told."""
    attempt = Attempt(world, PLATFORM)
    for grant in dict.fromkeys(grant for grant, _ in world.news):
        attempt.spread(grant)
