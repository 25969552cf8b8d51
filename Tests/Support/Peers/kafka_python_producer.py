"""Publishes with kafka-python: BROKERS TOPIC KEY VALUE …"""
import sys

from kafka import KafkaProducer

brokers, topic, key = sys.argv[1:4]
producer = KafkaProducer(bootstrap_servers=brokers, acks="all")
for value in sys.argv[4:]:
    producer.send(topic, value.encode(), key=key.encode()).get(30)
producer.close()
print("published", flush=True)
