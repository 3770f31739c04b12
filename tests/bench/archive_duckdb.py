"""A question put to duckdb, and nothing else imported: `python -m tests.bench.archive_duckdb "SELECT ..."`."""

import sys

from tests.bench.archive_process import Plain, print_costs


def answer(sql: str) -> list[tuple[object, ...]]:
    """Return what duckdb answers, with as many threads as it takes by itself."""
    import duckdb  # noqa: PLC0415 - behind `Plain`

    duckdb.sql("SET TimeZone = 'UTC'")
    found = duckdb.sql(sql)
    return [] if found is None else found.fetchall()


if __name__ == "__main__":
    sys.meta_path.insert(0, Plain())
    answer(sys.argv[1])
    print_costs()
