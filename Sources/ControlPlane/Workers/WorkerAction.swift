public import Base
public import Domain
public import WorkerProtocol

/// What the owner of a connection is to do, in the order given.
public enum WorkerAction: Sendable, Equatable {
    case send(ServerMessage)
    case sendFrame(ChannelFrame)
    /// Look the worker up, compute its resume points, then call `WorkerSession.admit` or `refuse`.
    case admit(WorkerMessage.Hello)
    /// It can take this many executions at the same time.
    case becomeReady(slots: Int)
    /// A documented peer says that it is idle: what it held from an earlier connection is lost.
    case surrender([AttemptKey])
    case started(AttemptKey)
    case progress(AttemptKey, stage: String, message: String)
    case personaEvent(AttemptKey, type: String, payload: JSONValue)
    case complete(AttemptKey, ExecutionReport)
    /// Find how much of a stream is stored, then call `WorkerSession.opened`.
    case openOutput(channel: UInt32, AttemptKey, OutputStream, offset: Int64)
    /// Store, then call `WorkerSession.stored`.
    case append(channel: UInt32, AttemptKey, OutputStream, offset: Int64, bytes: ArraySlice<UInt8>)
    case appendTail(AttemptKey, OutputStream, offset: Int64, bytes: ArraySlice<UInt8>)
    case endOutput(AttemptKey, OutputStream, total: Int64)
    /// A documented peer's output: the server keeps the offset.
    case appendChunk(AttemptKey, OutputStream, text: String)
    /// Its word about a `connect`: nil for a connection, else why there is none.
    case answered(channel: UInt32, refusal: String?)
    /// What goes on in its environment.
    case activity(ActivityReport)
    /// Something that is no reason to part; for the log.
    case note(String)
    /// WebSocket close code and reason (RFC 6455, section 7.4).
    case close(code: UInt16, reason: String)
}
