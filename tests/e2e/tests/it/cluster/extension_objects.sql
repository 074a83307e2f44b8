-- One line for each property of each object that belongs to the extension. Two databases with the same lines have the same
-- objects. Columns of tables are compared by name, not by position: an upgrade can only append columns.
--
-- The search_path is pg_catalog, so that each name outside of it is printed with its schema.
WITH RECURSIVE part (classid, objid, member) AS (
    SELECT d.classid, d.objid, true
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_pinterest'
    UNION
    SELECT d.classid, d.objid, false
    FROM part p JOIN pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid
    WHERE d.deptype IN ('a', 'i')
), object AS (
    SELECT p.classid, p.objid, bool_or(p.member) AS member, i.type, i.identity, i.type || ' ' || i.identity AS name
    FROM part p CROSS JOIN pg_identify_object(p.classid, p.objid, 0) i
    -- Names that contain an oid; PostgreSQL creates these objects by itself.
    WHERE i.schema IS DISTINCT FROM 'pg_toast'
      AND NOT EXISTS (SELECT FROM pg_trigger t
                      WHERE p.classid = 'pg_trigger'::regclass AND t.oid = p.objid AND t.tgisinternal)
    GROUP BY p.classid, p.objid, i.type, i.identity
), privilege (classid, objid, subid, acl) AS (
    SELECT 'pg_class'::regclass::oid, oid, 0,
           COALESCE(relacl, acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner))
    FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl FROM pg_attribute WHERE NOT attisdropped
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, COALESCE(proacl, acldefault('f', proowner)) FROM pg_proc
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, COALESCE(typacl, acldefault('T', typowner)) FROM pg_type
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, COALESCE(nspacl, acldefault('n', nspowner)) FROM pg_namespace
)
SELECT name || CASE WHEN member THEN ': member' ELSE ': part of a member' END FROM object

UNION ALL  -- Objects of the bootstrap superuser have no such dependency.
SELECT o.name || ': owner ' || pg_get_userbyid(d.refobjid)
FROM object o JOIN pg_shdepend d USING (classid, objid)
WHERE d.deptype = 'o' AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())

UNION ALL
SELECT format('%s: comment on %s: %s', o.name, (pg_identify_object(o.classid, o.objid, d.objsubid)).identity, d.description)
FROM object o JOIN pg_description d ON d.classoid = o.classid AND d.objoid = o.objid

UNION ALL
SELECT format('%s: security label on %s: %s %s', o.name, (pg_identify_object(o.classid, o.objid, l.objsubid)).identity,
              l.provider, l.label)
FROM object o JOIN pg_seclabel l ON l.classoid = o.classid AND l.objoid = o.objid

UNION ALL
SELECT format('%s: %s on %s granted to %s by %s%s', o.name, a.privilege_type,
              (pg_identify_object(o.classid, o.objid, p.subid)).identity,
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END, pg_get_userbyid(a.grantor),
              CASE WHEN a.is_grantable THEN ' with grant option' END)
FROM object o JOIN privilege p USING (classid, objid) CROSS JOIN aclexplode(p.acl) a

UNION ALL  -- pg_dump leaves these privileges to the extension.
SELECT format('%s: initial privilege %s on %s for %s', o.name, a.privilege_type,
              (pg_identify_object(o.classid, o.objid, p.objsubid)).identity,
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END)
FROM object o JOIN pg_init_privs p ON p.classoid = o.classid AND p.objoid = o.objid CROSS JOIN aclexplode(p.initprivs) a

UNION ALL
SELECT format('%s: kind %s, persistence %s, row security %s forced %s, replica identity %s, access method %s, options %s',
              o.name, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, m.amname,
              ARRAY(SELECT unnest(c.reloptions) ORDER BY 1))
FROM object o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid LEFT JOIN pg_am m ON m.oid = c.relam

UNION ALL
SELECT format('%s: column %I %s%s%s%s, identity "%s", generated "%s", storage %s, compression "%s", statistics %s, options %s',
              o.name, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> 0 THEN ' COLLATE ' || a.attcollation::regcollation END,
              CASE WHEN a.attnotnull THEN ' NOT NULL' END, ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), a.attidentity,
              a.attgenerated, a.attstorage, a.attcompression, COALESCE(a.attstattarget, -1),
              -- Some minor releases stamp columns with a version that differs from database to database.
              ARRAY(SELECT o.option FROM unnest(a.attoptions) AS o(option) WHERE o.option NOT LIKE 'pg\_attver=%' ORDER BY 1))
FROM object o JOIN pg_attribute a ON o.classid = 'pg_class'::regclass AND a.attrelid = o.objid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND o.type IN ('table', 'view', 'materialized view', 'composite type')

UNION ALL
SELECT o.name || ': ' || pg_get_viewdef(c.oid)
FROM object o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid WHERE c.relkind IN ('v', 'm')

UNION ALL
SELECT format('%s: %s, type %s, start %s, increment %s, minimum %s, maximum %s, cache %s, cycle %s, owned by %s', o.name,
              s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
              (SELECT (pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid)).identity FROM pg_depend d
               WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('a', 'i')))
FROM object o JOIN pg_sequence s ON o.classid = 'pg_class'::regclass AND s.seqrelid = o.objid

UNION ALL
SELECT format('%s: %s, valid %s, clustered %s, replica identity %s', o.name, pg_get_indexdef(i.indexrelid), i.indisvalid,
              i.indisclustered, i.indisreplident)
FROM object o JOIN pg_index i ON o.classid = 'pg_class'::regclass AND i.indexrelid = o.objid

UNION ALL
SELECT format('%s: %s, validated %s', o.name, pg_get_constraintdef(c.oid), c.convalidated)
FROM object o JOIN pg_constraint c ON o.classid = 'pg_constraint'::regclass AND c.oid = o.objid

UNION ALL
SELECT format('%s: %s, enabled %s', o.name, pg_get_triggerdef(t.oid), t.tgenabled)
FROM object o JOIN pg_trigger t ON o.classid = 'pg_trigger'::regclass AND t.oid = o.objid

UNION ALL
SELECT format('%s: %s, enabled %s', o.name, pg_get_ruledef(r.oid), r.ev_enabled)
FROM object o JOIN pg_rewrite r ON o.classid = 'pg_rewrite'::regclass AND r.oid = o.objid

UNION ALL
SELECT format('%s: command %s, permissive %s, roles %s, using %s, with check %s', o.name, p.polcmd, p.polpermissive,
              ARRAY(SELECT r.role::regrole::text FROM unnest(p.polroles) AS r(role) ORDER BY 1),
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM object o JOIN pg_policy p ON o.classid = 'pg_policy'::regclass AND p.oid = o.objid

UNION ALL
SELECT o.name || ': ' || pg_get_functiondef(p.oid)
FROM object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid WHERE p.prokind <> 'a'

UNION ALL
SELECT format('%s: ', o.name) || (to_jsonb(t) - '{oid,typname,typnamespace,typowner,typrelid,typarray,typacl,typdefaultbin,
              typelem,typbasetype,typcollation,typinput,typoutput,typreceive,typsend,typmodin,typmodout,typanalyze,
              typsubscript}'::text[] || jsonb_build_object(
              'element', t.typelem::regtype, 'base', format_type(t.typbasetype, t.typtypmod), 'collation', t.typcollation::regcollation,
              'functions', ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze]::text[]))
FROM object o JOIN pg_type t ON o.classid = 'pg_type'::regclass AND t.oid = o.objid

UNION ALL
SELECT format('%s: label %s after %s others', o.name, e.enumlabel, rank() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder) - 1)
FROM object o JOIN pg_enum e ON o.classid = 'pg_type'::regclass AND e.enumtypid = o.objid

UNION ALL
SELECT format('%s: result %s, function %s, commutator %s, negator %s, restrict %s, join %s, merges %s, hashes %s', o.name,
              p.oprresult::regtype, p.oprcode, p.oprcom::regoperator, p.oprnegate::regoperator, p.oprrest, p.oprjoin,
              p.oprcanmerge, p.oprcanhash)
FROM object o JOIN pg_operator p ON o.classid = 'pg_operator'::regclass AND p.oid = o.objid

UNION ALL
SELECT format('%s: type %s, default %s, key type %s, family %s', o.name, c.opcintype::regtype, c.opcdefault, c.opckeytype::regtype,
              (pg_identify_object('pg_opfamily'::regclass, c.opcfamily, 0)).identity)
FROM object o JOIN pg_opclass c ON o.classid = 'pg_opclass'::regclass AND c.oid = o.objid

UNION ALL
SELECT format('%s: %s, purpose %s', o.name, a.amopopr::regoperator, a.amoppurpose)
FROM object o JOIN pg_amop a ON o.classid = 'pg_amop'::regclass AND a.oid = o.objid

UNION ALL
SELECT format('%s: %s', o.name, a.amproc)
FROM object o JOIN pg_amproc a ON o.classid = 'pg_amproc'::regclass AND a.oid = o.objid

UNION ALL
SELECT format('%s: function %s, context %s, method %s', o.name, c.castfunc::regprocedure, c.castcontext, c.castmethod)
FROM object o JOIN pg_cast c ON o.classid = 'pg_cast'::regclass AND c.oid = o.objid

UNION ALL
SELECT format('%s: on %s, function %s, tags %s, enabled %s', o.name, t.evtevent, t.evtfoid::regprocedure, t.evttags, t.evtenabled)
FROM object o JOIN pg_event_trigger t ON o.classid = 'pg_event_trigger'::regclass AND t.oid = o.objid

UNION ALL
SELECT format('extension: dump mark %s %s', c.oid::regclass, c.condition)
FROM pg_extension e CROSS JOIN unnest(e.extconfig, e.extcondition) AS c(oid, condition) WHERE e.extname = 'pg_pinterest'

UNION ALL
SELECT format('extension: schema %s, relocatable %s', e.extnamespace::regnamespace, e.extrelocatable)
FROM pg_extension e WHERE e.extname = 'pg_pinterest'

UNION ALL
SELECT 'extension: requires ' || r.extname
FROM pg_extension e
JOIN pg_depend d ON d.classid = 'pg_extension'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_extension'::regclass
JOIN pg_extension r ON r.oid = d.refobjid WHERE e.extname = 'pg_pinterest'

UNION ALL
SELECT 'not described: ' || o.name FROM object o
WHERE o.classid <> ALL (ARRAY['pg_amop', 'pg_amproc', 'pg_attrdef', 'pg_cast', 'pg_class', 'pg_constraint', 'pg_event_trigger',
                              'pg_namespace', 'pg_opclass', 'pg_operator', 'pg_opfamily', 'pg_policy', 'pg_proc', 'pg_rewrite',
                              'pg_trigger', 'pg_type']::regclass[]::oid[])
   OR o.objid IN (SELECT oid FROM pg_proc WHERE prokind = 'a')
