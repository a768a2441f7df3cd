"""A deadline stops the query that runs, and only that."""

import threading

import duckdb
import pytest

from chronolake.errors import QueryTimeout
from chronolake.lake import interrupting

#: Runs until it is stopped, as far as any test is concerned.
ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = b.range % 11"


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


def test_a_query_past_its_deadline_is_stopped_and_the_cursor_lives_on(connection):
    with pytest.raises(QueryTimeout) as caught, interrupting(connection, 0.05):
        connection.execute(ENDLESS).fetchall()
    assert caught.value.facts == {"timeout_s": 0.05}
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_query_in_time_is_answered(connection):
    with interrupting(connection, 60):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_other_errors_come_through(connection):
    with pytest.raises(duckdb.CatalogException), interrupting(connection, 60):
        connection.execute("SELECT * FROM nowhere")


def two_statements(connection, pause_s):
    connection.execute("SELECT 1").fetchall()
    # The deadline passes while no statement runs.
    threading.Event().wait(pause_s)
    connection.execute(ENDLESS).fetchall()


def test_a_deadline_that_passes_between_two_statements_stops_the_next(connection):
    with pytest.raises(QueryTimeout), interrupting(connection, 0.01):
        two_statements(connection, 0.1)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_of_many_queries_those_are_stopped_whose_time_is_over(connection):
    stopped, answered = [], []

    def ask(number):
        with connection.cursor() as cursor:
            try:
                with interrupting(cursor, 60 if number % 2 else 0.05 * (number + 1)):
                    cursor.execute("SELECT 1" if number % 2 else ENDLESS).fetchall()
                    answered.append(number)
            except QueryTimeout:
                stopped.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(stopped), sorted(answered)) == ([0, 2, 4, 6], [1, 3, 5, 7])
    # Whoever comes while nobody waits, and with less time than whoever waits, is seen as well.
    with interrupting(connection, 60), connection.cursor() as other:
        with pytest.raises(QueryTimeout), interrupting(other, 0.05):
            other.execute(ENDLESS).fetchall()
        assert connection.execute("SELECT 1").fetchone() == (1,)
