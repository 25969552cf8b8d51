#ifndef BERTH_CRDKAFKA_H
#define BERTH_CRDKAFKA_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

// rd_kafka_producev is variadic, which Swift does not import. Key and value are copied; a null address with a count of
// 0 is no key or no value at all. `headers` belongs to librdkafka when this returns RD_KAFKA_RESP_ERR_NO_ERROR, and to
// the caller otherwise. `number` comes back as the message's `_private` in its delivery report.
rd_kafka_resp_err_t berth_kafka_produce(rd_kafka_t *handle, const char *topic, const void *key, size_t key_size,
                                        const void *value, size_t value_size, rd_kafka_headers_t *headers,
                                        size_t number);

// The number that was given with the message of a delivery report.
size_t berth_kafka_number(const rd_kafka_message_t *message);

#endif
