public import Domain

/// The server's answer to a hello: one point per attempt that the worker named, and what it holds by the books afterwards.
public struct WorkerResume: Sendable, Equatable {
    public var points: [ServerMessage.ResumePoint]
    public var held: [AttemptKey]

    public init(points: [ServerMessage.ResumePoint], held: [AttemptKey]) {
        self.points = points
        self.held = held
    }
}
