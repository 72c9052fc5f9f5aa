package interop;

import org.springframework.cloud.stream.annotation.StreamListener;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.stereotype.Service;

/** The newer way: the broker's header `type` selects the handler. An event without it reaches none. */
@Service
public class PolicyHandler {

    private final Validators validators;

    public PolicyHandler(Validators validators) {
        this.validators = validators;
    }

    /** Takes what nobody wants, or each such event would be logged as a warning. */
    @StreamListener(KafkaProcessor.INPUT)
    public void whatever(@Payload String event) {
    }

    @StreamListener(value = KafkaProcessor.INPUT, condition = "headers['type']=='SendSuccess'")
    public void wheneverSendSuccess(@Payload SendSuccess event) {
        validators.validate(event);
    }

    @StreamListener(value = KafkaProcessor.INPUT, condition = "headers['type']=='Canceled'")
    public void wheneverCanceled(@Payload Canceled event) {
        validators.cancel(event);
    }
}
