import BerthCore
import Glibc

/// The program `berth-worker`.
public enum WorkerProgram {
    public static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "git-credential" {
            let path = getenv(CredentialHelper.socketVariable).map { String(cString: $0) } ?? ""
            exit(CredentialHelper.run(operation: arguments.last ?? "", socketPath: path))
        }
        exit(64)
    }
}
