"""In charge of the cases that measure speed: Tanglai beside hand-written SQL, stock Strawberry and PostGraphile.

What takes part:

- `data.Servers` runs a PostgreSQL server with two databases. `left` has `population.residents` (1,000,000 rows) and for
  subjects that know one database only, a copy of `traffic.vehicles` (1,500,000 rows) with a foreign key
  `owner_id_number` -> `residents.id_number`; `right` has `traffic.vehicles` and no residents. `rows.sql` makes them.
- A *subject* is one server process that answers the cases. `subjects/<name>.py` describes it by a `contract.Subject`
  named `SUBJECT`: how it is started on a port, why it cannot be had here, which cases it answers, the HTTP request of a
  `contract.Draw`, and where the rows are in its answer. It reads `BENCH_LEFT` and `BENCH_RIGHT` (URLs of a role that
  may only read) and `BENCH_POOL` (connections per database, as many as Tanglai's connector has by default).
- `cases` says what is asked; `load` drives Debian's `wrk`; `run` interleaves the subjects, `figures` makes the ratios.

Before anything is measured, every subject answers the same draws, and the rows must be equal (`answers.same`).
`python -m benchmarks.speed.hold` starts data and subjects and waits, for a profiler or a look by hand.
"""
