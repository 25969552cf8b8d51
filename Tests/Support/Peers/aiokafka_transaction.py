"""Publishes with aiokafka in transactions: BROKERS TOPIC COMMITTED ABORTED (values; the second one is aborted)."""
import asyncio
import sys

from aiokafka import AIOKafkaProducer


async def main():
    brokers, topic, committed, aborted = sys.argv[1:5]
    producer = AIOKafkaProducer(bootstrap_servers=brokers, transactional_id="berth-test", acks="all")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, committed.encode(), key=b"t", headers=[("from", b"aiokafka")])
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, aborted.encode(), key=b"t")
            raise KeyError
    except KeyError:
        pass
    await producer.stop()
    print("published", flush=True)


asyncio.run(main())
