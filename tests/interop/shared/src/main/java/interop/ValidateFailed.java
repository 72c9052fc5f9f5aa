package interop;

public class ValidateFailed extends Validated {
}
