import Base
import EventBusKafka

extension Doctor {
    /// Whether the brokers answer.
    static func bus(_ configuration: Configuration) async -> Finding {
        do {
            guard let kafka = try configuration.kafka() else {
                return Finding("event bus", .good, "embedded in the database")
            }
            let bus = try KafkaBus(kafka)
            do {
                let topics = try await bus.topics { $0.contains("persona.") }
                await bus.close()
                return Finding("event bus", .good, "\(kafka.brokers) answer; \(topics.count) topics are Berth's")
            } catch {
                await bus.close()
                throw error
            }
        } catch {
            let error = BerthError(wrapping: error)
            return Finding(
                "event bus",
                .bad,
                error.message,
                remedy: error.remedy ?? "check kafkaBrokers; until they answer, everything for them is kept"
            )
        }
    }
}
