//! Rights and objects of other roles that endanger the extension: functions beside its own, and faults of its worker
//! role.

use pgrx::pg_sys;

use super::{citus, is_true, params, read, read_optional, row_as};
use crate::errors::Failure;

/// Roles that may create functions in the extension's schema, and existing functions with the names of the extension's.
pub struct Neighbours {
    /// The schema that the extension's functions are in.
    pub schema: String,
    /// Roles without power over the server that may create functions there, and `PUBLIC`.
    pub creators: Vec<String>,
    /// Functions of such roles with the name of one of the extension's.
    pub namesakes: Vec<String>,
}

/// The neighbours; `None` if the extension is not created.
pub fn neighbours() -> Result<Option<Neighbours>, Failure> {
    read_optional(
        "SELECT n.nspname::text, \
             ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END \
                 FROM aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a \
                 LEFT JOIN pg_roles r ON r.oid = a.grantee \
                 WHERE a.privilege_type = 'CREATE' AND NOT COALESCE(r.rolsuper, false) \
                 AND NOT (COALESCE(r.rolname, '') = 'pg_database_owner' AND EXISTS (SELECT FROM pg_database d \
                     JOIN pg_roles o ON o.oid = d.datdba WHERE d.datname = current_database() AND o.rolsuper)) \
                     ORDER BY 1), \
             ARRAY(SELECT DISTINCT p.oid::regprocedure::text FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner \
                 WHERE NOT o.rolsuper AND p.proname IN (SELECT f.proname FROM pg_proc f \
                     JOIN pg_depend m ON m.classid = 'pg_proc'::regclass AND m.objid = f.oid AND m.deptype = 'e' \
                     WHERE m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid AND f.pronamespace = n.oid) \
                 ORDER BY 1 LIMIT 5) \
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_pinterest'",
        &[],
        row_as!(Neighbours { schema, creators, namesakes }),
    )
}

/// What the role `pinterest_worker` must not have: attributes, members, memberships, settings, objects. Where Citus is
/// loaded, its nodes log in as the role.
pub fn faults_of_worker_role() -> Result<Vec<String>, Failure> {
    let mut faults = read(
        "SELECT f.what FROM pg_roles w CROSS JOIN LATERAL ( \
             SELECT 1, 'it has attributes beyond NOLOGIN' WHERE (w.rolcanlogin AND NOT $1) OR w.rolsuper \
                 OR w.rolbypassrls OR w.rolcreaterole OR w.rolcreatedb OR w.rolreplication \
             UNION ALL SELECT 2, format('\"%s\" is a member of it', pg_get_userbyid(m.member)) FROM pg_auth_members m \
             WHERE m.roleid = w.oid UNION ALL SELECT 3, format('it is a member of \"%s\"', pg_get_userbyid(m.roleid)) \
             FROM pg_auth_members m WHERE m.member = w.oid UNION ALL SELECT 4, 'it has settings' WHERE EXISTS (SELECT \
             FROM pg_db_role_setting s WHERE s.setrole = w.oid) \
                 UNION ALL SELECT 5, 'it owns objects' WHERE EXISTS (SELECT FROM pg_shdepend d \
                 WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = w.oid \
                 AND d.deptype = 'o')) AS f(place, what) \
         WHERE w.rolname = 'pinterest_worker' ORDER BY f.place, f.what",
        &params![citus::is_loaded()],
        |row| row.get::<String>(1),
    )?;
    // SAFETY: a catalog look-up inside a transaction. Others may not read the catalog.
    let has_password = unsafe { pg_sys::superuser() }
        && is_true(
            "SELECT a.rolcanlogin AND a.rolpassword IS NOT NULL FROM pg_authid a WHERE a.rolname = 'pinterest_worker'",
            &[],
        )?;
    if has_password {
        faults.push("it has a password".to_owned());
    }
    Ok(faults)
}

/// Whether `pinterest_worker` may log in.
pub fn worker_may_log_in() -> Result<bool, Failure> {
    is_true("SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = 'pinterest_worker'", &[])
}
