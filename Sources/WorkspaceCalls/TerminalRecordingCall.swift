public import Base
public import WorkerProtocol

/// A terminal's kept bytes with their times, as asciicast version 2: data of a ``BulkFrame`` stream.
public struct TerminalRecordingCall: ServiceCall, Equatable {
    public static let service = "terminal.recording"
    public typealias Answer = ServiceDone

    public var id: TerminalID

    public init(id: TerminalID) { self.id = id }
}
