#include "CRDKafka.h"

#include <stdint.h>

rd_kafka_resp_err_t berth_kafka_produce(rd_kafka_t *handle, const char *topic, const void *key, size_t key_size,
                                        const void *value, size_t value_size, rd_kafka_headers_t *headers,
                                        size_t number) {
  return rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                           RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE((void *)value, value_size),
                           RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)number), RD_KAFKA_V_END);
}

size_t berth_kafka_number(const rd_kafka_message_t *message) { return (size_t)(uintptr_t)message->_private; }

// Debian's librdkafka is built with Cyrus SASL, which it needs for Kerberos alone and which loads its mechanisms from
// shared libraries: nothing that a static program can do. PLAIN and SCRAM are librdkafka's own. These stand in for
// Cyrus: it starts, and refuses every mechanism (SASL_FAIL).
enum { berth_sasl_ok = 0, berth_sasl_fail = -1 };

int sasl_client_init(const void *callbacks) {
  (void)callbacks;
  return berth_sasl_ok;
}
int sasl_client_new(const char *service, const char *host, const char *local, const char *remote, const void *callbacks,
                    unsigned flags, void **connection) {
  (void)service, (void)host, (void)local, (void)remote, (void)callbacks, (void)flags;
  *connection = 0;
  return berth_sasl_fail;
}
int sasl_client_start(void *connection, const char *mechanisms, void **prompt, const char **out, unsigned *size,
                      const char **mechanism) {
  (void)connection, (void)mechanisms, (void)prompt, (void)out, (void)size, (void)mechanism;
  return berth_sasl_fail;
}
int sasl_client_step(void *connection, const char *in, unsigned in_size, void **prompt, const char **out,
                     unsigned *size) {
  (void)connection, (void)in, (void)in_size, (void)prompt, (void)out, (void)size;
  return berth_sasl_fail;
}
int sasl_getprop(void *connection, int property, const void **value) {
  (void)connection, (void)property, (void)value;
  return berth_sasl_fail;
}
int sasl_listmech(void *connection, const char *user, const char *prefix, const char *separator, const char *suffix,
                  const char **result, unsigned *size, int *count) {
  (void)connection, (void)user, (void)prefix, (void)separator, (void)suffix, (void)result, (void)size, (void)count;
  return berth_sasl_fail;
}
void sasl_dispose(void **connection) { *connection = 0; }
const char *sasl_errdetail(void *connection) {
  (void)connection;
  return "Kerberos (GSSAPI) is not built in";
}
const char *sasl_errstring(int code, const char *languages, const char **out) {
  (void)code, (void)languages;
  if (out) *out = 0;
  return "Kerberos (GSSAPI) is not built in";
}
