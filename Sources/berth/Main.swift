import CLI
import FoundationEssentials

@main
struct Main {
    static func main() {
        Program.main(
            arguments: Array(CommandLine.arguments.dropFirst()),
            environment: ProcessInfo.processInfo.environment
        )
    }
}
