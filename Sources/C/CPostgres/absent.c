// Debian's libpq calls GSSAPI and LDAP, which have no static libraries. Berth's programs are static, so both are refused
// here: libpq then goes on without GSSAPI encryption, and says by name that a server's demand for GSSAPI cannot be met.
// The shapes are those of RFC 2744 (GSSAPI C bindings) and of OpenLDAP 2.5, as far as libpq uses them.
#include <stddef.h>
#include <stdint.h>

enum { GSS_S_FAILURE = 13 << 16, LDAP_NOT_SUPPORTED = 0x5c };

struct gss_buffer {
  size_t length;
  void *value;
};

void *GSS_C_NT_HOSTBASED_SERVICE = NULL;

static uint32_t refuse(uint32_t *minor) {
  *minor = 0;
  return GSS_S_FAILURE;
}

uint32_t gss_acquire_cred(uint32_t *minor) { return refuse(minor); }
uint32_t gss_init_sec_context(uint32_t *minor) { return refuse(minor); }
uint32_t gss_import_name(uint32_t *minor) { return refuse(minor); }
uint32_t gss_wrap(uint32_t *minor) { return refuse(minor); }
uint32_t gss_unwrap(uint32_t *minor) { return refuse(minor); }
uint32_t gss_wrap_size_limit(uint32_t *minor) { return refuse(minor); }

// Nothing is ever handed out, so there is nothing to release.
uint32_t gss_release_buffer(uint32_t *minor) { return *minor = 0; }
uint32_t gss_release_cred(uint32_t *minor) { return *minor = 0; }
uint32_t gss_release_name(uint32_t *minor) { return *minor = 0; }
uint32_t gss_delete_sec_context(uint32_t *minor) { return *minor = 0; }

uint32_t gss_display_status(uint32_t *minor, uint32_t status, int kind, void *mechanism, uint32_t *more,
                            struct gss_buffer *text) {
  static char words[] = "this program is built without GSSAPI";
  (void)status, (void)kind, (void)mechanism;
  text->length = sizeof words - 1;
  text->value = words;
  *more = 0;
  return *minor = 0;
}

void *ldap_init(const char *host, int port) {
  (void)host, (void)port;
  return NULL;
}

// Reached only with what ldap_init gave.
int ldap_set_option(void) { return LDAP_NOT_SUPPORTED; }
int ldap_simple_bind(void) { return -1; }
int ldap_result(void) { return -1; }
int ldap_search_st(void) { return LDAP_NOT_SUPPORTED; }
int ldap_unbind(void) { return 0; }
int ldap_msgfree(void) { return 0; }
int ldap_count_entries(void) { return 0; }
void *ldap_first_entry(void) { return NULL; }
void *ldap_get_values_len(void) { return NULL; }
void ldap_value_free_len(void) {}
char *ldap_err2string(int code) {
  static char words[] = "this program is built without LDAP";
  (void)code;
  return words;
}
