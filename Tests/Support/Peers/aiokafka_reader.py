"""Reads topics from their beginning with aiokafka and prints each message as a line of JSON: BROKERS TOPIC …"""
import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer


def text(data):
    return None if data is None else data.decode("utf-8", "surrogateescape")


async def main():
    brokers, topics = sys.argv[1], sys.argv[2:]
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False,
        fetch_max_wait_ms=50, metadata_max_age_ms=1000, isolation_level="read_committed",
    )
    await consumer.start()
    print("reading", flush=True)
    async for message in consumer:
        print(json.dumps({
            "topic": message.topic, "partition": message.partition, "offset": message.offset,
            "key": text(message.key), "value": text(message.value),
            "headers": {name: text(value) for name, value in message.headers},
        }), flush=True)


asyncio.run(main())
