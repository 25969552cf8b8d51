internal import CShims

/// The holder program's second mode: starting sandboxes from outside and watching over them.
public enum Sandbox {
    public static let mode = "sandbox"

    /// Reads a specification from standard input and stays until the instance has ended; the exit status.
    public static func run() -> Int32 { berth_sandbox_main() }
}
