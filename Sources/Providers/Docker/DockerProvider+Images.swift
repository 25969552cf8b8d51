internal import Base
internal import Domain
internal import Transport

extension DockerProvider {
    /// Those that have a name. With an Engine that is down the default one alone, as not there.
    public func images() async throws -> [ProviderImage] {
        let answer: [JSONValue]
        do {
            answer = try await engine.call(.get, "/images/json", to: "list images").body.array ?? []
        } catch let error as BerthError where error.isRetryable {
            answer = []
        }
        let standard = Self.tagged(configuration.image)
        var found = answer.flatMap { image in
            (image["RepoTags"]?.array ?? []).compactMap(\.string).filter { !$0.hasPrefix("<none>") }.map { name in
                ProviderImage(
                    name: name,
                    isAvailable: true,
                    isDefault: name == standard,
                    bytes: image["Size"]?.integer,
                    createdAt: image["Created"]?.integer.map { Timestamp(milliseconds: $0 * 1000) }
                )
            }
        }
        if !found.contains(where: \.isDefault) {
            found.append(ProviderImage(name: standard, isAvailable: false, isDefault: true))
        }
        return found.sorted { $0.name < $1.name }
    }

    public func importImage(_ name: String, _ archive: ImageArchive) async throws -> ProviderImage {
        try DockerImageName.check(name)
        let tagged = Self.tagged(name)
        guard !name.contains("@"), let colon = tagged.lastIndex(of: ":") else {
            throw BerthError(
                .invalidValue,
                "an image is imported under a name and a tag",
                field: "name",
                remedy: "such as team/tools:1"
            )
        }
        let tag = String(tagged[tagged.index(after: colon)...])
        try await engine.importImage(String(tagged[..<colon]), tag: tag, archive)
        images.forget(name)
        guard let made = try await images().first(where: { $0.name == tagged }) else {
            throw BerthError(.protocolViolation, "the Docker Engine imported an image that it does not list")
        }
        return made
    }

    public func removeImage(_ name: String) async throws {
        try DockerImageName.check(name)
        let answer = try await engine.ask(.delete, "/images/\(PercentEncoding.encode(name))", within: .seconds(120))
        images.forget(name)
        switch answer.status {
        case ..<300: return
        case 404: throw BerthError(.notFound, "the Docker Engine has no image '\(name)'", field: "name")
        case 409:
            throw BerthError(
                .conflict,
                "the image '\(name)' is in use: \(answer.message)",
                field: "name",
                remedy: "destroy the environments that are made of it first"
            )
        default: throw DockerEngine.refusal(answer, to: "remove the image")
        }
    }

    /// With the tag that Docker takes where none is named.
    private static func tagged(_ name: String) -> String {
        let last = name.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        return last.contains(":") || last.contains("@") ? name : name + ":latest"
    }
}
