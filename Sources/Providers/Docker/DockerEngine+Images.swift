internal import Base
internal import Transport

extension DockerEngine {
    /// Throws the Engine's refusal, also one that comes after it had begun to read.
    func importImage(_ repository: String, tag: String, _ archive: ImageArchive) async throws {
        let query = "fromSrc=-&repo=\(PercentEncoding.encode(repository))&tag=\(PercentEncoding.encode(tag))"
        var request = HTTPClientRequest(
            .post,
            HTTPURL(endpoint: .unix(socket), target: "/\(Self.version)/images/create?\(query)"),
            headTimeout: .seconds(600),
            timeout: .seconds(3600)
        )
        request.headers.set("content-type", "application/x-tar")
        request.body = .stream(length: archive.length) { writer in
            while let chunk = try await archive.next() { try await writer.write(chunk) }
        }
        let found: (status: Int, headers: HTTPHeaders, body: [UInt8])
        do {
            found = try await client.fetch(request)
        } catch let error as BerthError {
            throw unreachable(error, .post, "/images/create")
        }
        // A JSON value in each line; a failure is in one of them, whatever the status.
        let lines = found.body.split(separator: 0x0A).compactMap { try? JSONValue(parsing: Array($0)) }
        let words = lines.compactMap { $0["error"]?.string ?? $0["message"]?.string }.first
        guard found.status < 300, words == nil else {
            let answer = Answer(status: max(found.status, 400), body: ["message": .string(words ?? "no reason given")])
            throw Self.refusal(answer, to: "import the image")
        }
    }
}
