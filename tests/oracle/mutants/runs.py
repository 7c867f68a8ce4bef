"""In charge of the faults planted into what is kept and run: plans, decisions, shapes of variables, cursors, pages."""

from tests.oracle.mutants.mutant import Mutant

CACHES, VALUES, EXECUTION = "resolvers/caches.py", "resolvers/values.py", "resolvers/execution.py"

RUNS = (
    # --- what is kept ---
    Mutant(
        "plan-for-anybody",
        "plan cache key: decision fingerprints",
        CACHES,
        "return tuple(visible(resources[code]).fingerprint for code in touched)",
        "return tuple(resources[code].code for code in touched)",
        leak=True,
    ),
    Mutant(
        "plan-for-any-shape",
        "plan cache key: the shape of every variable",
        "resolvers/gateway.py",
        "key = (read.document.hash, read.operation.name, read.slotted.shape)",
        "key = (read.document.hash, read.operation.name, tuple(name for name, _ in read.slotted.shape))",
    ),
    Mutant(
        "plan-for-any-flag",
        "case 23: @skip and @include are part of the plan's key",
        VALUES,
        'return value, ("is", value)',
        'return value, ("is",)',
    ),
    Mutant(
        "decision-kept-for-ever",
        "freshness: a decision is valid until a grant starts or ends",
        CACHES,
        "            and (kept.relation.valid_until is None or asking.now < kept.relation.valid_until)\n",
        "",
        leak=True,
    ),
    Mutant(
        "decision-for-former-grants",
        "case 41: a change of grants purges decisions",
        CACHES,
        "            and kept.grants is asking.grants\n",
        "",
        leak=True,
    ),
    Mutant(
        "decision-for-any-purpose",
        "case 34: decisions are kept per purpose",
        CACHES,
        "principal.roles, principal.scopes, purpose\n",
        "principal.roles, principal.scopes\n",
        leak=True,
    ),
    Mutant(
        "decision-for-any-token",
        "decisions are kept per token scope",
        CACHES,
        "principal.roles, principal.scopes, purpose\n",
        "principal.roles, purpose\n",
        leak=True,
    ),
    Mutant(
        "decision-for-any-role",
        "decisions are kept per role",
        CACHES,
        "principal.roles, principal.scopes, purpose\n",
        "principal.scopes, purpose\n",
        leak=True,
    ),
    Mutant(
        "choice-kept-for-ever",
        "freshness: a chosen plan is somebody's until a grant starts or ends",
        CACHES,
        "        if found.valid_until is not None and found.valid_until <= now:\n            return None\n",
        "",
    ),
    Mutant(
        "choice-for-former-grants",
        "case 41: a change of grants purges chosen plans",
        CACHES,
        " or found.grants is not grants",
        "",
        leak=True,
    ),
    Mutant(
        "calls-shared-by-field",
        "case 44: equal calls run once, others do not",
        "resolvers/rows.py",
        "signature = _digest(query, shape, page, total, tuple(keysets.keysets), grants)",
        "signature = _digest(resource.code, shape, page.columns, grants)",
    ),
    # --- pages ---
    Mutant(
        "cursor-of-any-department-and-purpose",
        "a cursor is bound to department and purpose",
        EXECUTION,
        "text = repr((self.department, self.purpose, page.context, filled(page.filter, self.arguments)))",
        "text = repr((page.context, filled(page.filter, self.arguments)))",
    ),
    Mutant(
        "page-one-row-short",
        "page flags: whether there are more rows",
        EXECUTION,
        "more = len(group) > binding.size",
        "more = len(group) >= binding.size",
    ),
    Mutant(
        "backward-page-not-turned",
        "pages backwards are in the order of the list",
        EXECUTION,
        "                if call.page.backward:\n                    group.reverse()\n",
        "",
    ),
    Mutant(
        "flags-of-the-other-end",
        "page flags backwards",
        "resolvers/rendering.py",
        "value = _bool(binding.before is not None if page.backward else more)",
        "value = _bool(more)",
    ),
)
