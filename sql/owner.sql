-- The schema, and the type of the columns that store the owner of a row.

-- Plain CREATE, as for every object of the extension: if the schema exists, the installation fails.
CREATE SCHEMA pinterest;
COMMENT ON SCHEMA pinterest IS 'pg_pinterest: accounts, boards, pins, images with their embeddings, imports, and tracked columns';
GRANT USAGE ON SCHEMA pinterest TO pinterest_worker;

-- A role's name cannot identify an owner: it can change, and another role can take it. A column of type oid or regrole
-- cannot either: an oid means nothing in another cluster, and a dump that contains it could not be restored there. A
-- role_owner contains the oid, is compared by it, and is written as the role's name.

CREATE TYPE pinterest.role_owner;

CREATE FUNCTION pinterest.role_owner_in(cstring) RETURNS pinterest.role_owner
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_in';

CREATE FUNCTION pinterest.role_owner_out(pinterest.role_owner) RETURNS cstring
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_out';

CREATE FUNCTION pinterest.role_owner_recv(internal) RETURNS pinterest.role_owner
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_recv';

CREATE FUNCTION pinterest.role_owner_send(pinterest.role_owner) RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_send';

-- A state, an oid and a name: struct Owner in src/owner/mod.rs.
CREATE TYPE pinterest.role_owner (
    INPUT = pinterest.role_owner_in, OUTPUT = pinterest.role_owner_out,
    RECEIVE = pinterest.role_owner_recv, SEND = pinterest.role_owner_send,
    INTERNALLENGTH = 72, ALIGNMENT = int4, STORAGE = plain
);
COMMENT ON TYPE pinterest.role_owner IS 'A role that owns a row, written as its name: "name (dropped oid)" if the role has been dropped, "name (missing)" if no role of that name existed. Such an owner is not identified with a later role of the same name';

CREATE FUNCTION pinterest.role_owner_eq(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_eq';
CREATE FUNCTION pinterest.role_owner_ne(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_ne';
CREATE FUNCTION pinterest.role_owner_lt(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_lt';
CREATE FUNCTION pinterest.role_owner_le(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_le';
CREATE FUNCTION pinterest.role_owner_gt(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_gt';
CREATE FUNCTION pinterest.role_owner_ge(pinterest.role_owner, pinterest.role_owner) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_ge';
CREATE FUNCTION pinterest.role_owner_cmp(pinterest.role_owner, pinterest.role_owner) RETURNS integer
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_cmp';
CREATE FUNCTION pinterest.role_owner_hash(pinterest.role_owner) RETURNS integer
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_hash';

CREATE OPERATOR pinterest.= (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_eq,
    COMMUTATOR = OPERATOR(pinterest.=), NEGATOR = OPERATOR(pinterest.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR pinterest.<> (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_ne,
    COMMUTATOR = OPERATOR(pinterest.<>), NEGATOR = OPERATOR(pinterest.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
CREATE OPERATOR pinterest.< (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_lt,
    COMMUTATOR = OPERATOR(pinterest.>), NEGATOR = OPERATOR(pinterest.>=),
    RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
CREATE OPERATOR pinterest.<= (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_le,
    COMMUTATOR = OPERATOR(pinterest.>=), NEGATOR = OPERATOR(pinterest.>),
    RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
CREATE OPERATOR pinterest.> (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_gt,
    COMMUTATOR = OPERATOR(pinterest.<), NEGATOR = OPERATOR(pinterest.<=),
    RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
CREATE OPERATOR pinterest.>= (
    LEFTARG = pinterest.role_owner, RIGHTARG = pinterest.role_owner, FUNCTION = pinterest.role_owner_ge,
    COMMUTATOR = OPERATOR(pinterest.<=), NEGATOR = OPERATOR(pinterest.<),
    RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);

CREATE OPERATOR CLASS pinterest.role_owner_ops DEFAULT FOR TYPE pinterest.role_owner USING btree AS
    OPERATOR 1 pinterest.<, OPERATOR 2 pinterest.<=, OPERATOR 3 pinterest.=, OPERATOR 4 pinterest.>=, OPERATOR 5 pinterest.>,
    FUNCTION 1 pinterest.role_owner_cmp(pinterest.role_owner, pinterest.role_owner);
CREATE OPERATOR CLASS pinterest.role_owner_hash_ops DEFAULT FOR TYPE pinterest.role_owner USING hash AS
    OPERATOR 1 pinterest.=,
    FUNCTION 1 pinterest.role_owner_hash(pinterest.role_owner);

CREATE FUNCTION pinterest.owner_oid(pinterest.role_owner) RETURNS oid
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_owner_oid';

-- For policies and views. They run with the rights of the role that reads the rows.
CREATE FUNCTION pinterest.is_owner(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_is_owner';

CREATE FUNCTION pinterest.has_rights_of(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_has_rights_of';

CREATE FUNCTION pinterest.owner_is_gone(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_owner_is_gone';

-- Policies and statements of the worker call these.
GRANT EXECUTE ON FUNCTION
    pinterest.role_owner_eq(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_ne(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_lt(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_le(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_gt(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_ge(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_cmp(pinterest.role_owner, pinterest.role_owner),
    pinterest.role_owner_hash(pinterest.role_owner),
    pinterest.owner_oid(pinterest.role_owner), pinterest.is_owner(pinterest.role_owner),
    pinterest.has_rights_of(pinterest.role_owner), pinterest.owner_is_gone(pinterest.role_owner)
TO pinterest_worker;
