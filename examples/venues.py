"""Imports a Pinterest board and prints the venues that look like it.

    python3 examples/venues.py "Barn wedding"

The connection is taken from PGHOST, PGPORT, PGUSER and so on. The role has level `user` and a connected account, and the
database a table venues (id, name, kind, embedding) whose embeddings are tracked. Needs examples/requirements.txt.
"""

import argparse
import sys

import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector
from psycopg.rows import namedtuple_row


def follow(connection, import_id):
    """Prints the progress of an import until it has ended; returns its row."""
    while True:
        # Returns at once when the import ends, and after half a second otherwise.
        connection.execute("SELECT pinterest_wait_for_import(%s, '500 milliseconds')", [import_id])
        row = connection.execute(
            """SELECT state, phase, pins_listed, images_total, images_total - images_pending AS done, progress,
                      coalesce(concat_ws('. ', reason, hint), '') AS reason
                 FROM pinterest.imports WHERE import_id = %s""", [import_id]).fetchone()
        ended = row.state in ("completed", "failed", "cancelled", "needs_reauth")
        if sys.stdout.isatty():
            print(f"\r{'█' * round(row.progress * 30):░<30} {row.done} of {row.images_total} images, "
                  f"{row.pins_listed} pins, {row.state}\033[K", end="\n" if ended else "", flush=True)
        if ended:
            return row


def recommend(connection, board, count):
    """The venues that match a board, best first, each with the pin that it resembles most."""
    return connection.execute(
        """SELECT v.id, v.name, v.kind, v.embedding, r.distance, r.because -> 0 ->> 'link' AS pin
             FROM pinterest_recommend(%s, 'venues', k => %s, explain => true) AS r
             JOIN venues AS v ON v.id = r.key::bigint ORDER BY r.rank""", [board, count]).fetchall()


def like(connection, board, venue, count):
    """The venues between a board and one venue: the vectors are added here, pgvector finds those nearest to the sum."""
    mean = connection.execute("SELECT pinterest_board_embedding(%s) AS mean", [board]).fetchone().mean
    both = Vector([a + b for a, b in zip(mean.to_list(), venue.embedding.to_list())])
    return connection.execute(
        """SELECT name, kind, embedding <=> %(sum)s AS distance FROM venues
            WHERE id <> %(id)s ORDER BY embedding <=> %(sum)s LIMIT %(count)s""",
        {"sum": both, "id": venue.id, "count": count}).fetchall()


def show(title, venues, pins=None):
    print(f"\n{title}\n{'venue':<24}{'kind':<12}{'distance':>8}{'  most like the pin' if pins else ''}")
    for venue, pin in zip(venues, pins or [""] * len(venues)):
        print(f"{venue.name:<24}{venue.kind:<12}{venue.distance:>8.4f}  {pin or ''}".rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("board", help="id, title or address")
    parser.add_argument("-n", type=int, default=5, help="number of venues (default 5)")
    arguments = parser.parse_args()
    with psycopg.connect(autocommit=True, row_factory=namedtuple_row) as connection:
        register_vector(connection)
        import_id = connection.execute("SELECT pinterest_import_board(%s) AS id", [arguments.board]).fetchone().id
        row = follow(connection, import_id)
        if row.state != "completed":
            sys.exit(f"the import is {row.state}: {row.reason}")
        venues = recommend(connection, arguments.board, arguments.n)
        show(f"Venues for {arguments.board}", venues, [venue.pin for venue in venues])
        if venues:
            show(f"More like {venues[0].name}", like(connection, arguments.board, venues[0], arguments.n))


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        sys.exit(f"{error.sqlstate}: {error.diag.message_primary or error}\n{error.diag.message_hint or ''}".rstrip())
