/// Times and sizes that both ends agree on.
public enum ProtocolLimits {
    /// What Berth's own worker says in its hello.
    public static let version = 1
    public static let heartbeat: Duration = .seconds(30)
    /// Silence after which the server takes a worker for lost (seed 004, section 4.2).
    public static let lostAfter: Duration = .seconds(90)
    /// Silence of the server after which a worker kills its attempts, so that attempts never overlap.
    public static let selfFenceAfter: Duration = .seconds(75)
    /// A connection must say hello within this (origins 4.8).
    public static let helloDeadline: Duration = .seconds(10)
    /// Largest text frame: a prompt of 5 MB, escaped, fits.
    public static let maximumMessageBytes = 32 << 20
    /// TERM to KILL (origins 4.8).
    public static let killGrace: Duration = .seconds(5)
}
