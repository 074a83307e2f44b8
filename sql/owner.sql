-- Who owns a row. A role's name does not do: it can change, and another role can take it. Its oid alone does not do
-- either: it means nothing in another cluster, and a dump could not be restored where the role is missing. So this type
-- holds the oid, compares by it, and is written as the name.

-- Plain CREATE, as for everything below: an existing schema of this name makes the installation fail.
CREATE SCHEMA pinterest;
COMMENT ON SCHEMA pinterest IS 'pg_pinterest: accounts, boards, pins, their images with embeddings, and the imports that brought them';

CREATE TYPE pinterest.role_owner;

CREATE FUNCTION pinterest.role_owner_in(cstring) RETURNS pinterest.role_owner
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_in';
COMMENT ON FUNCTION pinterest.role_owner_in(cstring) IS 'Internal: input of role_owner, the name of a role; a missing role is kept as missing';

CREATE FUNCTION pinterest.role_owner_out(pinterest.role_owner) RETURNS cstring
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_out';
COMMENT ON FUNCTION pinterest.role_owner_out(pinterest.role_owner) IS 'Internal: output of role_owner, the present name of the role';

CREATE FUNCTION pinterest.role_owner_recv(internal) RETURNS pinterest.role_owner
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_recv';
COMMENT ON FUNCTION pinterest.role_owner_recv(internal) IS 'Internal: binary input of role_owner';

CREATE FUNCTION pinterest.role_owner_send(pinterest.role_owner) RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_role_owner_send';
COMMENT ON FUNCTION pinterest.role_owner_send(pinterest.role_owner) IS 'Internal: binary output of role_owner';

-- State, oid and name: src/owner/mod.rs.
CREATE TYPE pinterest.role_owner (
    INPUT = pinterest.role_owner_in, OUTPUT = pinterest.role_owner_out,
    RECEIVE = pinterest.role_owner_recv, SEND = pinterest.role_owner_send,
    INTERNALLENGTH = 72, ALIGNMENT = int4, STORAGE = plain
);
COMMENT ON TYPE pinterest.role_owner IS 'A role that owns something, written as its name; "name (dropped oid)" if the role has been dropped, "name (missing)" if there was no role of that name. Neither becomes a later role of that name';

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
COMMENT ON FUNCTION pinterest.role_owner_eq(pinterest.role_owner, pinterest.role_owner) IS 'Internal: =, by the role';
COMMENT ON FUNCTION pinterest.role_owner_ne(pinterest.role_owner, pinterest.role_owner) IS 'Internal: <>';
COMMENT ON FUNCTION pinterest.role_owner_lt(pinterest.role_owner, pinterest.role_owner) IS 'Internal: <, by the role''s oid';
COMMENT ON FUNCTION pinterest.role_owner_le(pinterest.role_owner, pinterest.role_owner) IS 'Internal: <=';
COMMENT ON FUNCTION pinterest.role_owner_gt(pinterest.role_owner, pinterest.role_owner) IS 'Internal: >';
COMMENT ON FUNCTION pinterest.role_owner_ge(pinterest.role_owner, pinterest.role_owner) IS 'Internal: >=';
COMMENT ON FUNCTION pinterest.role_owner_cmp(pinterest.role_owner, pinterest.role_owner) IS 'Internal: the order of B-trees';
COMMENT ON FUNCTION pinterest.role_owner_hash(pinterest.role_owner) IS 'Internal: the hash of hash joins and grouping';

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
COMMENT ON FUNCTION pinterest.owner_oid(pinterest.role_owner) IS
    'The oid of the owner''s role, which may have been dropped since; 0 where the owner was no role of this cluster when the row was written';

-- For policies and views: they run with the rights of whoever reads the rows.
CREATE FUNCTION pinterest.is_owner(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_is_owner';
COMMENT ON FUNCTION pinterest.is_owner(pinterest.role_owner) IS 'Is the current role the owner?';

CREATE FUNCTION pinterest.has_rights_of(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_has_rights_of';
COMMENT ON FUNCTION pinterest.has_rights_of(pinterest.role_owner) IS
    'Does the current role have the rights of the owner, as a member of a group has those of the group?';

CREATE FUNCTION pinterest.owner_is_gone(pinterest.role_owner) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'pinterest_owner_is_gone';
COMMENT ON FUNCTION pinterest.owner_is_gone(pinterest.role_owner) IS
    'Has the owner been dropped, or was it never a role of this cluster? Then nobody owns the row until pinterest_reassign() gives it to a role';

REVOKE ALL ON TYPE pinterest.role_owner FROM PUBLIC;
REVOKE ALL ON FUNCTION
    pinterest.role_owner_in(cstring), pinterest.role_owner_out(pinterest.role_owner),
    pinterest.role_owner_recv(internal), pinterest.role_owner_send(pinterest.role_owner),
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
FROM PUBLIC;
-- In privileges.sql everything else: its policies and views call these as whoever reads the rows.
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
