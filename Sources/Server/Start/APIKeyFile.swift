import Accounts
import Base
import Domain

/// The single user's key, in a file that only this user can read, where the CLI finds it.
enum APIKeyFile {
    /// Makes a key at the first start, and a new one when the file was removed or its key revoked.
    static func ensure(_ directory: DataDirectory, _ accounts: Accounts, _ principal: Principal) async throws {
        if let text = Files.text(directory.apiKeyPath) {
            do {
                _ = try await accounts.principal(presenting: Secret(text.trimmed))
                return
            } catch let error as BerthError where error.code == .unauthenticated {}
        }
        let made = try await accounts.createKey(name: "cli", by: principal)
        try directory.write(made.token.reveal() + "\n", to: "api-key")
    }
}
