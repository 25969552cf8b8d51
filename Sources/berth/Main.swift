import CLI
import FoundationEssentials
import Glibc

@main
struct Main {
    static func main() async {
        exit(
            await Program.run(
                arguments: Array(CommandLine.arguments.dropFirst()),
                environment: ProcessInfo.processInfo.environment
            )
        )
    }
}
