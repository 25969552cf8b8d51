// librdkafka's mock cluster as a process of its own: brokers whose faults a test commands.
//   broker-fixture BROKERS [TOPIC:PARTITIONS …]
// prints the brokers' addresses, then takes lines: `down N`, `up N` (brokers from 1), `topic NAME PARTITIONS`,
// `fail API CODE TIMES` (Kafka's numbers: the next TIMES requests of that kind are answered with that error), `rtt MS`.
// The Nth is answered with `N: ok` or with what is wrong. Ends with its input.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rd_kafka_resp_err_t command(rd_kafka_mock_cluster_t *cluster, int brokers, const char *line) {
  char name[256];
  int first, second, third;
  if (sscanf(line, "down %d", &first) == 1) return rd_kafka_mock_broker_set_down(cluster, first);
  if (sscanf(line, "up %d", &first) == 1) return rd_kafka_mock_broker_set_up(cluster, first);
  if (sscanf(line, "topic %255s %d", name, &first) == 2) return rd_kafka_mock_topic_create(cluster, name, first, 1);
  if (sscanf(line, "rtt %d", &first) == 1) {
    for (int broker = 1; broker <= brokers; broker++) rd_kafka_mock_broker_set_rtt(cluster, broker, first);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  if (sscanf(line, "fail %d %d %d", &first, &second, &third) == 3) {
    for (int i = 0; i < third; i++)
      rd_kafka_mock_push_request_errors(cluster, (int16_t)first, 1, (rd_kafka_resp_err_t)second);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

int main(int count, char **arguments) {
  char text[512];
  int brokers = count > 1 ? atoi(arguments[1]) : 1;
  rd_kafka_conf_t *configuration = rd_kafka_conf_new();
  rd_kafka_conf_set(configuration, "log_level", "0", text, sizeof text);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, text, sizeof text);
  if (!handle) {
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, brokers);
  for (int i = 2; i < count; i++) {
    char *colon = strchr(arguments[i], ':');
    if (colon) *colon = 0;
    rd_kafka_mock_topic_create(cluster, arguments[i], colon ? atoi(colon + 1) : 1, 1);
  }
  printf("brokers %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
  fflush(stdout);
  char line[512];
  for (int number = 1; fgets(line, sizeof line, stdin); number++) {
    rd_kafka_resp_err_t code = command(cluster, brokers, line);
    printf("%d: %s\n", number, code ? rd_kafka_err2str(code) : "ok");
    fflush(stdout);
  }
  rd_kafka_mock_cluster_destroy(cluster);
  rd_kafka_destroy(handle);
  return 0;
}
