import Glibc
import Worker

@main
struct Main {
    static func main() async { exit(await WorkerProgram.main()) }
}
