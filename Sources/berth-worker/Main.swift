import Worker

@main
struct Main {
    static func main() { WorkerProgram.main() }
}
