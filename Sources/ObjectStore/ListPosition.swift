import Primitives

/// Where a page of a listing begins.
public enum ListPosition: Sendable, Equatable {
    /// Where a former page of the same listing ended: its `next`.
    case page(String)
    /// Behind this key, whether there is such an object or not. The key begins with the listing's prefix and is text
    /// (UTF-8). In a delimited listing it has no `/` behind the prefix: services don't agree on what that leaves out.
    /// Stores for which such a page costs more than others fail with `.unsupported`.
    case after(ByteString)
}
