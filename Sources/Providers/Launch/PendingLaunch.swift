internal import Base
internal import EventLoop

/// A monitor that prepares what it can before it is told which container it is for. Every one is either finished or
/// abandoned: it holds the environment's lock.
struct PendingLaunch: Sendable {
    private let writer: Descriptor
    private let reader: Descriptor
    private let time: any TimeSource

    /// Starts it with the first part of its specification; returns without waiting for it.
    static func begin(_ spec: LaunchSpec, by launcher: Launcher, logPath: String) async throws -> PendingLaunch {
        let (writer, reader) = try launcher.open(logPath: logPath)
        let pending = PendingLaunch(writer: writer, reader: reader, time: launcher.time)
        var announced = LaunchSpec()
        announced.add("later", "\(spec.bytes.count)")
        do {
            try await Launcher.send(announced.bytes + spec.bytes, to: writer)
        } catch {
            await pending.abandon()
            throw error
        }
        return pending
    }

    /// Gives it the second part. Throws what it could not do.
    func finish(_ spec: LaunchSpec) async throws {
        let answer = try await withDeadline(.seconds(20), time: time, what: "the preparation of the container") {
            try await Launcher.send(spec.bytes, to: writer)
            await writer.close()
            return try await Launcher.line(from: reader)
        }
        reader.closeSoon()
        guard answer.hasPrefix("ok ") else { throw Launcher.failure(answer) }
    }

    /// Returns when it has given up, which it does when its input ends.
    func abandon() async {
        writer.closeSoon()
        _ = try? await withDeadline(.seconds(5), time: time, what: "the end of the launcher") {
            try await Launcher.line(from: reader)
        }
        reader.closeSoon()
    }
}
