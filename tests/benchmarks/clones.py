# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a server in Nova's database, for a list that is long: to build 200 servers takes the lab many minutes.

Run by the Python of the OpenStack lab, which has its database driver:

    clones.py add SOCKET SERVER COUNT       prints [[id, name], ...]; slots 1 to COUNT
    clones.py remove SOCKET ID ...
"""

import json
import sys
import uuid
from typing import Any

import pymysql

# What Nova joins to show a server in detail: {table: the column that names it}
TABLES = {
    "nova.instances": "uuid",
    "nova.instance_extra": "instance_uuid",
    "nova.instance_info_caches": "instance_uuid",
    "nova.instance_metadata": "instance_uuid",
    "nova.instance_system_metadata": "instance_uuid",
    "nova.block_device_mapping": "instance_uuid",
    "nova.tags": "resource_id",
    "nova_api.instance_mappings": "instance_uuid",
    "nova_api.request_specs": "instance_uuid",
}
SLOT = "immutable.fleet.slot"

Row = dict[str, Any]


def main() -> None:
    verb, socket, *rest = sys.argv[1:]
    connection = pymysql.connect(unix_socket=socket, user="root", cursorclass=pymysql.cursors.DictCursor)
    with connection, connection.cursor() as cursor:
        if verb == "add":
            print(json.dumps(add(cursor, rest[0], int(rest[1]))))
        else:
            remove(cursor, rest)
        connection.commit()


def add(cursor: Any, server: str, count: int) -> list[tuple[str, str]]:
    """`(id, name)` of the copies."""
    source: dict[str, list[Row]] = {}
    for table, column in TABLES.items():
        cursor.execute(f"select * from {table} where {column} = %s", [server])
        source[table] = list(cursor.fetchall())
    stem, slot, suffix = source["nova.instances"][0]["display_name"].rsplit("-", 2)
    made = [(str(uuid.uuid4()), f"{stem}-{int(slot) + number}-{suffix}") for number in range(1, count + 1)]
    for number, (copy, name) in enumerate(made, int(slot) + 1):
        for table, rows in source.items():
            for row in rows:
                insert(cursor, table, changed(row, table, copy, name, number))
    return made


def changed(row: Row, table: str, copy: str, name: str, slot: int) -> Row:
    """The row as it is for the copy."""
    new = {key: value for key, value in row.items() if key != "id"} | {TABLES[table]: copy}
    if table == "nova.instances":
        new |= {"display_name": name, "hostname": name}
    if table == "nova.block_device_mapping":
        new["uuid"] = str(uuid.uuid4())
    if new.get("key") == SLOT:
        new["value"] = str(slot)
    return new


def insert(cursor: Any, table: str, row: Row) -> None:
    columns = ", ".join(f"`{name}`" for name in row)
    cursor.execute(f"insert into {table} ({columns}) values ({', '.join(['%s'] * len(row))})", list(row.values()))


def remove(cursor: Any, copies: list[str]) -> None:
    """All rows of copies."""
    for table, column in reversed(TABLES.items()):
        cursor.execute(f"delete from {table} where {column} in ({', '.join(['%s'] * len(copies))})", copies)


if __name__ == "__main__":
    main()
