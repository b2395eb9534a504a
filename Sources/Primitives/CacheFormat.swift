/// The one number for the form of everything in a cache directory: the identity, the tree's tables, the page maps.
/// Whatever of it changes, this grows; a cache with another number is left as it is (docs/CACHE.md).
public enum CacheFormat {
    public static let current = 2
}
