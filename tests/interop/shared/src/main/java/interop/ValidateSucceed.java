package interop;

public class ValidateSucceed extends Validated {
}
