import API
import Base
import Domain
import Providers
import Transport

/// `/v1/images`.
extension ServerCore {
    func imageImport(_ context: RequestContext) async throws -> HTTPResponse {
        let (name, provider) = try image(context)
        let body = context.request.body
        let length = context.request.headers["content-length"].flatMap { Int($0) }
        let archive = ImageArchive(length: length) { try await body.next() }
        return try Self.json(try await providers.importImage(name, of: provider, archive), status: 201)
    }

    func imageRemove(_ context: RequestContext) async throws -> HTTPResponse {
        let (name, provider) = try image(context)
        try await providers.removeImage(name, of: provider)
        return try Self.json(Image(name: name, provider: provider, isAvailable: false))
    }

    private func image(_ context: RequestContext) throws -> (name: String, provider: ProviderKind) {
        guard let name = context.text("name") else {
            throw BerthError(
                .missingField,
                "the image's name is missing",
                field: "name",
                remedy: "such as team/tools:1"
            )
        }
        return (name, context.text("provider").map { ProviderKind(rawValue: $0) } ?? .docker)
    }
}
